# SPDX-License-Identifier: Apache-2.0
"""Talk to a process while it runs: its stdin, its output, its exit status.

    python examples/stream_stdio.py

Needs root.
"""

from __future__ import annotations

import asyncio

from kata_host.client import (
    AgentClient,
    default_process,
    default_spec,
    writable_layer,
)
from kata_host.guest.local_guest import LocalGuest

SCRIPT = 'while read -r word; do echo "you said $word"; done; echo bye >&2; exit 3'


async def main() -> None:
    with LocalGuest() as guest:
        async with AgentClient.connect(guest.address) as client:
            await client.create_sandbox("example")

            name = "talker"
            storage, root = writable_layer(name, "/")
            spec = default_spec(
                name, default_process(["sh", "-c", SCRIPT]), rootfs=root
            )
            async with client.started_container(name, spec, [storage]) as container:
                process = container.init
                # Output arrives in pieces of any size, here one for each `echo`.
                output = process.read_stdout()
                for word in ("one", "two"):
                    await process.write_stdin(f"{word}\n".encode())
                    print("stdout:", (await anext(output)).decode(), end="")
                await process.close_stdin()
                async for data in process.read_stderr():
                    print("stderr:", data.decode(), end="")
                # After the output, because this call ends the streams.
                print("status:", await process.wait())


asyncio.run(main())
