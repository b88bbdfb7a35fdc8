# SPDX-License-Identifier: Apache-2.0
"""An agent for the client and the command line to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.fake_agent import FakeAgent, serving


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
async def address(agent: FakeAgent, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(agent, tmp_path / "agent") as address:
        yield address
