# SPDX-License-Identifier: Apache-2.0
"""The pidfds of all children, watched by the event loop as one descriptor.

A pidfd is readable once its process has ended (man 2 pidfd_open). When thousands end at
once, the loop would serve all of them in one turn, and every call would wait for that.
An epoll of their own hands them over in small numbers, in turns with everything else.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

BATCH: Final = 32
"""Exits in one turn of the loop. Each may wake callers, of some 50 µs."""


class ExitWatch:
    """Calls back for each process that has ended. Made in the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._report)

    def add(self, pidfd: int, ended: Callable[[], None]) -> None:
        """Call `ended` in each turn of the loop from the exit on, until `remove`."""
        self._epoll.register(pidfd, select.EPOLLIN)
        self._callbacks[pidfd] = ended

    def remove(self, pidfd: int) -> None:
        """End the watch of a descriptor that is still open."""
        self._epoll.unregister(pidfd)
        del self._callbacks[pidfd]

    def _report(self) -> None:
        for pidfd, _ in self._epoll.poll(0, BATCH):
            # An earlier callback may have ended this watch.
            if ended := self._callbacks.get(pidfd):
                ended()

    def close(self) -> None:
        """End every watch."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._callbacks.clear()
