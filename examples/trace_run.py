# SPDX-License-Identifier: Apache-2.0
"""Trace the steps of a guest that runs a command, and show them as a tree.

    python examples/trace_run.py

Needs root.
"""

from __future__ import annotations

import asyncio

from kata_host.client import AgentClient
from kata_host.forwarder.receiver import Receiver
from kata_host.guest.local_guest import LocalGuest
from kata_host.trace.tree import render_tree
from kata_protos import agent_pb2


async def main() -> None:
    with LocalGuest() as guest:
        # The guest connects to port 10240 of the host, which is this socket. Any
        # collector with OTLP over HTTP could listen there.
        async with (
            Receiver(f"{guest.socket}_10240") as receiver,
            AgentClient.connect(guest.address) as client,
        ):
            await client.agent.start_tracing(agent_pb2.StartTracingRequest())
            await client.create_sandbox("example")
            await client.run(["true"], rootfs="/")
            # Answers when the spans have been delivered.
            await client.agent.stop_tracing(agent_pb2.StopTracingRequest())
            print(render_tree(receiver.spans(), width=100), end="")


asyncio.run(main())
