# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from tests.helpers.fake_agent import FakeAgent


async def test_statuses_are_printed(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    HeldRecord.create(ContainerRecord("web", "one", ended=1.0, status=3)).close()
    lost = ContainerRecord("lost", "one", ended=1.0, error="connection lost")
    HeldRecord.create(lost).close()
    assert await asyncio.to_thread(main, ["wait", "web", "one/c9", "lost"]) == 1
    said = capsys.readouterr()
    # The agent's answer for a container that the host does not know.
    assert said.out == "3\n7\n"
    assert said.err == (
        "kata-agent-ctl: container 'lost': no status: connection lost\n"
    )
