# SPDX-License-Identifier: Apache-2.0
"""Calls back when a socket is ready, on loops that may do so only once.

asyncio's own loops call a reader as long as there is something to receive. libuv stops
to watch a socket that has an error, as has one whose peer has closed with bytes unread:
uvloop calls its reader once more, and never again, although answers and the end are
still to be received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 4
"""Times that a reader is called before other callbacks of the loop get their turn."""


class SocketEvents:
    """Has the methods of a loop for one socket; its reader is called until it is empty.

    That costs a receive that finds nothing each time, and on uvloop alone.
    """

    __slots__ = ("_is_scheduled", "_loop", "_read", "add_writer", "remove_writer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._read: Callable[[], bool] | None = None
        self._is_scheduled = False
        self.add_writer = loop.add_writer
        """A writer needs no second call: it fails where the socket has an error."""
        self.remove_writer = loop.remove_writer

    def add_reader(self, fd: int, read: Callable[[], bool]) -> None:
        """Call `read`, which returns whether it has received anything."""
        self._read = read
        self._loop.add_reader(fd, self._on_readable)

    def remove_reader(self, fd: int) -> None:
        self._read = None
        self._loop.remove_reader(fd)

    def _on_readable(self) -> None:
        for _ in range(AT_ONCE):
            read = self._read
            if read is None or not read():
                return
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        self._is_scheduled = False
        self._on_readable()


def calls_again(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop calls a reader as long as there is something to receive."""
    return isinstance(loop, asyncio.SelectorEventLoop)
