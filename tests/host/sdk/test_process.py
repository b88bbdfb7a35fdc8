# SPDX-License-Identifier: Apache-2.0
"""Which calls a process makes; tests/e2e/test_sdk_box.py has real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kata_host.client.container_process import ContainerProcess
from kata_host.errors import AgentError
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.process import Process
from tests.helpers.fake_agent import FakeAgent
from ttrpc.codes import Code
from ttrpc.errors import StatusError


@pytest.fixture
async def process(address: str) -> AsyncIterator[Process]:
    connection = await GuestConnection.to(address, 5)

    async def start() -> ContainerProcess:
        return ContainerProcess(connection.client.agent, "c1", "e1")

    yield Process(connection, start)
    await connection.close()


async def test_a_process_is_written_to_read_and_waited_for(
    agent: FakeAgent, process: Process
) -> None:
    agent.stdout = [b"one\ntwo", b"\n"]
    async with process:
        await process.write("text")
        await process.write(b"bytes")
        await process.resize(24, 80)
        await process.close_stdin()
        assert await process.read_until("\n") == b"one\n"
        assert [data async for data in process] == [b"two", b"\n"]
        assert await process.read() == b""
        assert await process.wait() == await process.wait() == 7
    assert agent.names() == [
        *("WriteStream", "WriteStream", "TtyWinResize", "CloseStdin", "WaitProcess")
    ]


async def test_output_that_is_not_read_holds_no_end_up(
    agent: FakeAgent, process: Process
) -> None:
    agent.stdout = [b"x"] * 5
    async with process:
        assert await process.wait() == 7
    assert not agent.stdout


async def test_a_process_that_still_runs_is_killed_at_the_end(
    agent: FakeAgent, process: Process
) -> None:
    async with process:
        pass
    assert agent.names() == ["SignalProcess", "WaitProcess"]
    assert agent.requests[0].signal == 9


async def test_the_error_of_the_block_is_raised_though_the_kill_fails(
    agent: FakeAgent, process: Process
) -> None:
    agent.refused = {"SignalProcess"}
    with pytest.raises(KeyError):
        async with process:
            raise KeyError


async def test_a_start_that_is_refused_is_an_error_of_the_tree(address: str) -> None:
    connection = await GuestConnection.to(address, 5)

    async def start() -> ContainerProcess:
        raise StatusError(Code.INTERNAL, "no")

    with pytest.raises(AgentError, match="no"):
        async with Process(connection, start):
            raise AssertionError
    await connection.close()
