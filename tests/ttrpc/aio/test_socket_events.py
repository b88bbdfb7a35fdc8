# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ttrpc.aio.socket_events import AT_ONCE, SocketEvents, calls_again


class Once:
    """A loop that calls a reader when the test does."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ready: Callable[[], Any] = lambda: None
        self.call_soon = self.loop.call_soon
        self.add_writer = self.loop.add_writer
        self.remove_writer = self.loop.remove_writer

    def add_reader(self, fd: int, callback: Callable[[], Any]) -> None:
        self.ready = callback

    def remove_reader(self, fd: int) -> None:
        pass


def events() -> tuple[Once, SocketEvents]:
    once = Once()
    loop: Any = once
    return once, SocketEvents(loop)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_reader_is_called_until_it_has_found_nothing() -> None:
    once, it = events()
    left = 10
    empty = 0

    def read() -> bool:
        nonlocal left, empty
        left -= 1
        empty += left < 0
        return left >= 0

    it.add_reader(0, read)
    once.ready()
    await turns(10)
    assert (left, empty) == (-1, 1)


async def test_other_callbacks_have_their_turn_between() -> None:
    once, it = events()
    reads = 0
    seen: list[int] = []

    def read() -> bool:
        nonlocal reads
        reads += 1
        return True

    it.add_reader(0, read)
    # The loop calls too, and that makes no difference to the calls of its next turns.
    for _ in range(2):
        once.ready()
    for _ in range(3):
        await turns(1)
        seen.append(reads)
    it.remove_reader(0)
    assert seen == [3 * AT_ONCE, 4 * AT_ONCE, 5 * AT_ONCE]


async def test_a_reader_that_is_removed_is_not_called() -> None:
    once, it = events()
    calls: list[int] = []

    def read() -> bool:
        calls.append(1)
        if len(calls) == 2:
            it.remove_reader(0)
        return True

    it.add_reader(0, read)
    once.ready()
    await turns(3)
    assert len(calls) == 2
    once.ready()
    assert len(calls) == 2


async def test_asyncios_own_loops_call_again() -> None:
    import uvloop

    assert calls_again(asyncio.get_running_loop())
    other = uvloop.new_event_loop()
    try:
        assert not calls_again(other)
    finally:
        other.close()
