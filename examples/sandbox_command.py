# SPDX-License-Identifier: Apache-2.0
"""Run a command in a fresh guest: a local one here, `Guest.vm()` for isolation.

    python examples/sandbox_command.py

A local guest needs root, a virtual machine needs QEMU.
"""

from __future__ import annotations

import asyncio

from kata_host import Guest


async def main() -> None:
    async with Guest.local() as guest:
        print((await guest.run(["echo", "hello"])).text, end="")


asyncio.run(main())
