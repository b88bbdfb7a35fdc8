# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

# Each fills the table when it is imported.
import tests.helpers.conformance.containers
import tests.helpers.conformance.processes  # noqa: F401
from tests.helpers.conformance.case import CASES, Case, Subject, check


@pytest.mark.root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_conformance(case: Case, subject: Subject) -> None:
    await check(case, subject)


def test_names_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
