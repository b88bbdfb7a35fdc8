# SPDX-License-Identifier: Apache-2.0
"""The service as a whole: which calls of the API have a method."""

from __future__ import annotations

import socket

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.network.network import Network
from kata_agent.reserve import Reserve
from kata_agent.rpc.services import agent_service
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_ttrpc import AGENT_SERVICE
from kata_tracing.tracing import Tracing
from tests.helpers.domain import open_sandbox
from tests.helpers.namespace import World, in_namespaces

NOT_BUILT = {"MemAgentCompactSet", "MemAgentMemcgSet", "SetPolicy"}
"""Calls of confidential guests and of the memory agent (README, "Honest limits")."""


def no_collector(timeout: float) -> socket.socket:
    raise ConnectionRefusedError


@in_namespaces("v2")
async def test_every_other_call_of_the_api_has_a_method(world: World) -> None:
    paths = SystemPaths()
    uevents = Uevents(paths)
    hotplug = Hotplug(paths, uevents, 1)
    async with open_sandbox() as sandbox:
        network = Network(sandbox._guest.reaper, hotplug, Reserve())
        agent = agent_service(sandbox, lambda: network, hotplug, Tracing(no_collector))
    uevents.close()
    assert agent.service is AGENT_SERVICE
    assert set(AGENT_SERVICE.methods) - set(agent.handlers) == NOT_BUILT
