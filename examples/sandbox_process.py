# SPDX-License-Identifier: Apache-2.0
"""Talk to an interactive process in a guest: a local one here, or `Guest.vm()`.

    python examples/sandbox_process.py

A local guest needs root, a virtual machine needs QEMU.
"""

from __future__ import annotations

import asyncio

from kata_host import Guest


async def main() -> None:
    async with Guest.local() as guest, guest.container() as box:
        async with box.start(["python3", "-q"], tty=(24, 80)) as process:
            await process.write("print(6 * 7, 'is it')\n")
            print((await process.read_until("42 is it"))[-8:].decode())


asyncio.run(main())
