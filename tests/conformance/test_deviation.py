# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.helpers.conformance import table
from tests.helpers.conformance.deviation import Deviation, Deviations
from ttrpc.codes import Code

WAIT = next(case for case in table.CASES if case.rpc == "WaitProcess")
OTHER = next(case for case in table.CASES if case.rpc == "Check")


def deviations(**entry: object) -> Deviations:
    return Deviations([Deviation.parse({"reason": "known", **entry})])


def test_codes_are_accepted_where_the_pattern_fits() -> None:
    known = deviations(case="WaitProcess-*", codes=["DATA_LOSS"])
    assert known.apply(WAIT).others == (*WAIT.others, Code.DATA_LOSS)
    assert known.apply(OTHER) is OTHER
    assert known.unknown(table.CASES) == []


def test_a_line_is_skipped_with_its_reason() -> None:
    with pytest.raises(pytest.skip.Exception, match="known"):
        deviations(case=WAIT.id, skip=True).apply(WAIT)


def test_a_pattern_that_fits_nothing_is_told() -> None:
    assert deviations(case="Wait-*", skip=True).unknown(table.CASES) == ["Wait-*"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"case": "x"}, "either codes or skip"),
        ({"case": "x", "codes": ["NO"]}, "no code 'NO'"),
        ({"case": "x", "codes": ["INTERNAL"], "skip": True}, "either codes or skip"),
        ({"skip": True}, "takes case, reason"),
        ({"case": "x", "skip": True, "more": 1}, "takes case, reason"),
    ],
)
def test_a_bad_entry_is_named(entry: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        deviations(**entry)
