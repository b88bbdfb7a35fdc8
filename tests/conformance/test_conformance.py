# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_protos.agent_ttrpc import AGENT_SERVICE
from kata_protos.health_ttrpc import HEALTH
from tests.conformance.conftest import ADDRESS, IS_OURS
from tests.helpers.conformance import table
from tests.helpers.conformance.case import Case, Subject, check
from tests.helpers.conformance.deviation import Deviations

DEVIATIONS = Deviations.load()
RUN = [case for case in table.CASES if ADDRESS or not case.machine]
"""A local guest is no machine: cases that need a machine run in a VM."""


@pytest.mark.root
@pytest.mark.parametrize("case", RUN, ids=lambda case: case.id)
async def test_conformance(case: Case, subject: Subject) -> None:
    await check(DEVIATIONS.apply(case), subject)


def test_names_are_unique() -> None:
    assert len({case.id for case in table.CASES}) == len(table.CASES)


def test_every_call_is_tried_in_every_situation() -> None:
    methods = [*AGENT_SERVICE.methods.values(), *HEALTH.methods.values()]
    missing = {
        method.name: left for method in methods if (left := table.missing(method))
    }
    assert not missing


def test_every_deviation_is_still_there() -> None:
    assert not DEVIATIONS.unknown(table.CASES)
    assert not (IS_OURS and DEVIATIONS), "ours deviates in nothing"
