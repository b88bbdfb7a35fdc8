# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.call_counts import CallCounts
from ttrpc.codes import Code


def test_failures_are_counted_by_their_code() -> None:
    counts = CallCounts()
    for code in (Code.NOT_FOUND, 99, Code.NOT_FOUND):
        counts.count_failure(code)
    assert counts.failed == {Code.NOT_FOUND: 2, 99: 1}


def test_every_end_is_counted_once() -> None:
    counts = CallCounts()
    for code in (Code.OK, Code.NOT_FOUND, Code.OK):
        counts.count(code)
    assert counts.ended() == {Code.OK: 2, Code.NOT_FOUND: 1}
