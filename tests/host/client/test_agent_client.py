# SPDX-License-Identifier: Apache-2.0
"""Which calls the client makes; tests/e2e/test_client.py has a real agent."""

from __future__ import annotations

import asyncio

import pytest

from kata_host.client import AgentClient, Result, default_process, default_spec
from tests.helpers.fake_agent import FakeAgent
from ttrpc.errors import Closed, StatusError


async def test_connecting_is_awaited_or_entered(address: str) -> None:
    async with AgentClient.connect(address) as client:
        assert (await client.version()).agent_version == "1.2.3"
    with pytest.raises(Closed):
        await client.check()
    client = await AgentClient.connect(address)
    await client.check(timeout=5)
    await client.close()


async def test_an_invalid_address_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        await AgentClient.connect("nonsense")


async def test_a_run_leaves_no_container(agent: FakeAgent, address: str) -> None:
    agent.may_end.clear()
    async with AgentClient.connect(address) as client:
        running = asyncio.create_task(client.run(["true"], rootfs="/r", input=b"in"))
        assert (await agent.received("WriteStream")).data == b"in"
        await agent.received("CloseStdin")
        agent.may_end.set()
        assert await running == Result(7, b"", b"")
    assert agent.names() == [
        "CreateContainer",
        "StartContainer",
        "WaitProcess",
        "RemoveContainer",
    ]
    assert len({request.container_id for request in agent.requests}) == 1


async def test_the_first_error_is_raised_though_the_removal_fails_too(
    agent: FakeAgent, address: str
) -> None:
    agent.refused = {"StartContainer", "RemoveContainer"}
    async with AgentClient.connect(address) as client:
        with pytest.raises(StatusError, match="StartContainer refused"):
            await client.run(["true"], rootfs="/r")
    assert agent.names()[-1] == "RemoveContainer"


async def test_a_sandbox_is_named_after_its_id(agent: FakeAgent, address: str) -> None:
    async with AgentClient.connect(address) as client:
        await client.create_sandbox("s1")
        await client.create_sandbox("s1", hostname="h", share_pids=False)
        await client.destroy_sandbox()
    first, second, _ = agent.requests
    assert (first.hostname, first.sandbox_pidns) == ("s1", True)
    assert (second.hostname, second.sandbox_pidns) == ("h", False)
    assert agent.names()[-1] == "DestroySandbox"


async def test_a_container_shares_pids_unless_told_otherwise(
    agent: FakeAgent, address: str
) -> None:
    spec = default_spec("c1", default_process(["sh"]), rootfs="/r")
    async with AgentClient.connect(address) as client:
        await client.create_container("c1", spec)
        await client.create_container("c1", spec, share_pids=False)
    assert [request.sandbox_pidns for request in agent.requests] == [True, False]
