# SPDX-License-Identifier: Apache-2.0
"""A typed client of the agent, for scripts and for `kata-agent-ctl`.

    from kata_host.client import AgentClient

    async with AgentClient.connect("hvsock:///run/vm.sock:1024") as client:
        await client.create_sandbox("sandbox")
        result = await client.run(["uname", "-a"], rootfs="/rootfs")
        print(result.status, result.stdout)

Every RPC is a method of `client.agent` or `client.health`, with the request and
response messages of `kata_protos`. `BlockingAgentClient` does the same without asyncio.
A name is loaded on its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kata_host.client.agent_client import AgentClient
    from kata_host.client.blocking_agent_client import BlockingAgentClient
    from kata_host.client.container_process import ContainerProcess
    from kata_host.client.guest_container import GuestContainer
    from kata_host.client.limits import Limits
    from kata_host.client.result import Result
    from kata_host.client.spec import default_process, default_spec, writable_layer

_HOMES = {
    "AgentClient": "kata_host.client.agent_client",
    "BlockingAgentClient": "kata_host.client.blocking_agent_client",
    "ContainerProcess": "kata_host.client.container_process",
    "GuestContainer": "kata_host.client.guest_container",
    "Limits": "kata_host.client.limits",
    "Result": "kata_host.client.result",
    "default_process": "kata_host.client.spec",
    "default_spec": "kata_host.client.spec",
    "writable_layer": "kata_host.client.spec",
}

__all__ = [
    "AgentClient",
    "BlockingAgentClient",
    "ContainerProcess",
    "GuestContainer",
    "Limits",
    "Result",
    "default_process",
    "default_spec",
    "writable_layer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
