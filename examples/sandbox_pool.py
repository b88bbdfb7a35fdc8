# SPDX-License-Identifier: Apache-2.0
"""Run programs in a pool of ten guests, with files, limits and a time.

    python examples/sandbox_pool.py

A local guest needs root; programs that are not trusted need `Guest.vm`, and QEMU.
"""

from __future__ import annotations

import asyncio

from kata_host import Guest, Limits, Pool
from kata_host.errors import SandboxError

PROGRAMS = {
    "sums": "print(sum(range(1000)))",
    "waits": "import time; time.sleep(1000)",
    "grows": "x = bytearray(200 << 20)",
    "fails": "raise SystemExit(3)",
}
LIMITS = Limits(memory="64m", cpus=1, pids=16)


async def judge(pool: Pool, code: str) -> str:
    files = {"main.py": code}
    try:
        result = await pool.run(
            ["python3", "main.py"], files=files, user=65534, limits=LIMITS, timeout=20
        )
        return result.check().text.strip()
    except SandboxError as error:
        return str(error)


async def main() -> None:
    async with Pool(10, Guest.local) as pool:
        verdicts = await asyncio.gather(*(judge(pool, it) for it in PROGRAMS.values()))
    for name, verdict in zip(PROGRAMS, verdicts, strict=True):
        print(f"{name}: {verdict}")


asyncio.run(main())
