# SPDX-License-Identifier: Apache-2.0
"""An agent for the client and the command line to talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.registry import directory_of
from tests.helpers.fake_agent import FakeAgent, serving


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
async def address(agent: FakeAgent, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(agent, tmp_path / "agent") as address:
        yield address


@pytest.fixture
def guest_one(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Have the agent be that of a local guest `one` in a registry of the test's own."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with HeldEntry("one") as held:
        held.write(GuestEntry("one", "local", address, started=1))
        directory_of("one").mkdir()
        yield "one"
        held.remove()
