# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.client import AgentClient, default_process
from tests.helpers.fake_agent import FakeAgent


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
