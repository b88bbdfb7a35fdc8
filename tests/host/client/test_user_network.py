# SPDX-License-Identifier: Apache-2.0
"""The calls alone; what they do in a guest is in `tests/e2e/test_network.py`."""

from __future__ import annotations

import pytest

from kata_host.client import AgentClient
from kata_host.client.user_network import (
    RESOLV_CONF,
    connect_guest,
    resolv_conf_mount,
)
from tests.helpers.fake_agent import FakeAgent
from ttrpc.errors import StatusError


async def test_the_guest_gets_what_a_runtime_would_send(
    agent: FakeAgent, address: str
) -> None:
    async with AgentClient.connect(address) as client:
        await connect_guest(client.agent)
    assert agent.names() == ["UpdateInterface", "UpdateRoutes", "CopyFile"]
    interface, routes, copied = agent.requests
    # Kata's agents find the link by its MAC, ours by its name too.
    assert interface.interface.hwAddr == "02:00:00:00:02:0f"
    (own,) = interface.interface.IPAddresses
    assert (own.address, own.mask) == ("10.0.2.15", "24")
    link, default = routes.routes.Routes
    assert (link.dest, link.gateway) == ("10.0.2.0/24", "")
    assert (default.dest, default.gateway) == ("", "10.0.2.2")
    assert {link.device, default.device} == {interface.interface.name}
    assert (copied.path, copied.data) == (RESOLV_CONF, b"nameserver 10.0.2.3\n")


async def test_a_sandbox_with_the_network_knows_its_name_server(
    agent: FakeAgent, address: str
) -> None:
    async with AgentClient.connect(address) as client:
        await client.create_sandbox("one", network="user")
    names = ["CreateSandbox", "UpdateInterface", "UpdateRoutes", "CopyFile"]
    assert agent.names() == names
    assert agent.requests[0].dns == ["nameserver 10.0.2.3"]


async def test_a_sandbox_without_a_network_is_told_of_none(
    agent: FakeAgent, address: str
) -> None:
    async with AgentClient.connect(address) as client:
        await client.create_sandbox("one")
    assert agent.names() == ["CreateSandbox"]
    assert not agent.requests[0].dns


async def test_a_refusal_is_raised(agent: FakeAgent, address: str) -> None:
    agent.refused = {"UpdateRoutes"}
    async with AgentClient.connect(address) as client:
        with pytest.raises(StatusError, match="UpdateRoutes refused"):
            await connect_guest(client.agent)


def test_a_container_sees_the_copied_file() -> None:
    mount = resolv_conf_mount()
    assert (mount.source, mount.destination) == (RESOLV_CONF, "/etc/resolv.conf")
    assert {"rbind", "ro"} <= set(mount.options)
