# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.client import AgentClient, default_process
from tests.helpers.fake_agent import FakeAgent
from ttrpc.errors import Closed


async def test_each_step_names_the_container(agent: FakeAgent, address: str) -> None:
    async with AgentClient.connect(address) as client:
        container = client.container("c1")
        await container.start()
        executed = await container.exec("e1", default_process(["true"]))
        await container.kill()
        await container.remove()
    assert agent.names() == [
        "StartContainer",
        "ExecProcess",
        "SignalProcess",
        "RemoveContainer",
    ]
    assert {request.container_id for request in agent.requests} == {"c1"}
    assert (executed.container_id, executed.exec_id) == ("c1", "e1")
    assert (container.init.container_id, container.init.exec_id) == ("c1", "c1")


async def test_kill_is_for_the_whole_container(agent: FakeAgent, address: str) -> None:
    async with AgentClient.connect(address) as client:
        await client.container("c1").kill()
    (request,) = agent.requests
    assert (request.signal, request.exec_id) == (9, "")


async def test_an_exec_that_is_cancelled_is_killed_and_waited_for(
    agent: FakeAgent, address: str
) -> None:
    agent.may_start.clear()
    async with AgentClient.connect(address) as client:
        container = client.container("c1")
        call = asyncio.create_task(container.exec("e1", default_process(["true"])))
        await agent.received("ExecProcess")
        call.cancel()
        # It may have started before the signal has come.
        killed = await agent.received("SignalProcess")
        agent.may_start.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (killed.exec_id, killed.signal) == ("e1", 9)
        waited = await agent.received("WaitProcess")
        assert waited.exec_id == "e1"


async def test_an_exec_that_is_cancelled_ends_with_its_connection(
    agent: FakeAgent, address: str
) -> None:
    agent.may_start.clear()
    client = await AgentClient.connect(address)
    container = client.container("c1")
    calls = [
        asyncio.create_task(container.exec(name, default_process(["true"])))
        for name in ("e1", "e2")
    ]
    await agent.received("ExecProcess")
    calls[0].cancel()
    await agent.received("SignalProcess")
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    with pytest.raises(Closed):
        await calls[1]
