# SPDX-License-Identifier: Apache-2.0
"""Waiting until a nonblocking descriptor can be read or written."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


class Readiness:
    """Parks one coroutine on one descriptor.

    Wake-ups may be spurious: the caller tries its system call again in a loop.
    """

    __slots__ = ("_waiter", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """-1 once the owner has closed the descriptor."""
        self._waiter: asyncio.Future[None] | None = None

    async def wait_readable(self) -> None:
        """Return when a read would not block, or after `wake`."""
        loop = asyncio.get_running_loop()
        await self._wait(loop, loop.add_reader, loop.remove_reader)

    async def wait_writable(self) -> None:
        """Return when a write would not block, or after `wake`."""
        loop = asyncio.get_running_loop()
        await self._wait(loop, loop.add_writer, loop.remove_writer)

    async def _wait(
        self,
        loop: asyncio.AbstractEventLoop,
        add: Callable[[int, Callable[[], None]], None],
        remove: Callable[[int], bool],
    ) -> None:
        self._waiter = loop.create_future()
        add(self.fd, self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self.fd >= 0:
                remove(self.fd)

    def wake(self) -> None:
        """Let the parked coroutine look again; without one, do nothing."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def events(fd: int) -> int:
    """Return what poll(2) says of `fd`: POLLIN, POLLOUT, POLLHUP and so on.

    Of a terminal, it also sees bytes on their way inside of the kernel. FIONREAD does
    not.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    return dict(poll.poll(0)).get(fd, 0)
