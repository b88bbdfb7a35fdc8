# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import resource
import subprocess

from bench.ttrpc.peers import environment
from kata_host.child import module_command

CALLS = 50
PAGES = (1 << 20) // resource.getpagesize()


def count_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_the_next_large_message_has_its_memory_already() -> None:
    """In a process of its own, because allocators remember."""
    done = subprocess.run(
        module_command(__name__),
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    # Of all copies of a message, not even a part of one is taken from the kernel anew.
    assert int(done.stdout) < CALLS * PAGES // 10


if __name__ == "__main__":
    import asyncio

    from google.protobuf.wrappers_pb2 import BytesValue

    from bench.ttrpc.client import ECHO
    from bench.ttrpc.service import services
    from ttrpc.aio import Server
    from ttrpc.aio.testing import connected

    async def call_often() -> int:
        """Return the page faults of CALLS calls."""
        message = BytesValue(value=bytes(1 << 20))
        async with connected(Server(services())) as client:
            for _ in range(3):
                await client.call(ECHO["Echo"], message)
            before = count_faults()
            for _ in range(CALLS):
                await client.call(ECHO["Echo"], message)
            return count_faults() - before

    print(asyncio.run(call_often()))
