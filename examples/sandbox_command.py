# SPDX-License-Identifier: Apache-2.0
"""Run a command in a fresh guest: a local one, or a virtual machine.

    python examples/sandbox_command.py [local|vm]

A local guest needs root, a virtual machine needs QEMU.
"""

from __future__ import annotations

import asyncio
import sys

from kata_host import Guest


async def main(kind: str = "local") -> None:
    async with Guest.vm() if kind == "vm" else Guest.local() as guest:
        print((await guest.run(["echo", "hello"])).text, end="")


asyncio.run(main(*sys.argv[1:]))
