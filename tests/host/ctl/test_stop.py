# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import signal

import pytest

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent


async def stop(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["stop", *arguments])


async def test_a_container_that_ends_is_not_killed(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await stop("one/c1") == 0
    assert sorted(agent.names()) == ["SignalProcess", "WaitProcess"]
    assert (await agent.received("SignalProcess")).signal == signal.SIGTERM
    assert capsys.readouterr().out == "c1\n"


async def test_one_that_goes_on_is_killed(agent: FakeAgent, guest_one: str) -> None:
    agent.may_end.clear()
    stopping = asyncio.ensure_future(stop("-t", "10ms", "one/c1"))
    for number in (signal.SIGTERM, signal.SIGKILL):
        assert (await agent.received("SignalProcess")).signal == number
    agent.may_end.set()
    assert await stopping == 0
