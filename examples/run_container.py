# SPDX-License-Identifier: Apache-2.0
"""Run commands in containers of a local guest.

    python examples/run_container.py

Needs root.
"""

from __future__ import annotations

import asyncio

from kata_host.client import AgentClient
from kata_host.guest.local_guest import LocalGuest


async def main() -> None:
    # A guest without a VM. Leaving the block ends it and removes all of it.
    with LocalGuest() as guest:
        async with AgentClient.connect(guest.address) as client:
            version = await client.version()
            print("agent", version.agent_version, "API", version.grpc_version)

            await client.create_sandbox("example")
            # `rootfs` is a directory in the guest, which is below the container's
            # root. The container's own writes go into a layer of its own.
            result = await client.run(["echo", "hello"], rootfs="/")
            print(result.status, result.stdout.decode(), end="")

            # A command that fails has a status; it is no exception.
            result = await client.run(
                ["sh", "-c", "cat >/tmp/new; wc -c </tmp/new; exit 7"],
                rootfs="/",
                input=b"twelve bytes",
                env={"LANG": "C"},
            )
            print(result.status, result.stdout.decode(), end="")


asyncio.run(main())
