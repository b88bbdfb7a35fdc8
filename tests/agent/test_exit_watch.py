# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os

from kata_agent.exit_watch import BATCH, ExitWatch


async def test_exits_at_once_are_served_in_turns_with_everything_else() -> None:
    watch = ExitWatch()
    ended: list[int] = []
    # An eventfd is readable too, and costs less than a process.
    descriptors = [os.eventfd(1, os.EFD_CLOEXEC) for _ in range(5 * BATCH)]

    def serve(descriptor: int) -> None:
        ended.append(descriptor)
        watch.remove(descriptor)

    for descriptor in descriptors:
        watch.add(descriptor, lambda descriptor=descriptor: serve(descriptor))
    before = 0
    while len(ended) < len(descriptors):
        # One turn of the loop.
        await asyncio.sleep(0)
        assert len(ended) - before <= BATCH
        before = len(ended)
    assert sorted(ended) == sorted(descriptors)
    watch.close()
    for descriptor in descriptors:
        os.close(descriptor)


async def test_a_callback_may_end_another_watch() -> None:
    watch = ExitWatch()
    one, other = os.eventfd(1), os.eventfd(1)
    ended = asyncio.Event()

    def serve() -> None:
        ended.set()
        watch.remove(one)
        watch.remove(other)

    watch.add(one, serve)
    watch.add(other, serve)
    await ended.wait()
    await asyncio.sleep(0)
    watch.close()
    os.close(one)
    os.close(other)
