# SPDX-License-Identifier: Apache-2.0
"""Reading all that a program writes into a pipe, so that the program never waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Final

READ_SIZE: Final = 64 << 10
"""Bytes of one read: what a pipe holds by default (man 7 pipe)."""
LAST_READS: Final = 16
"""Reads at the end: what the largest pipe holds. A daemon that the program has left
behind may go on writing."""


class Drain:
    """Reads a pipe on the event loop, and keeps the last bytes."""

    def __init__(self, fd: int, limit: int, *, keeps_all: bool = False) -> None:
        """Read `fd`, which stays the caller's, and keep the last `limit` bytes.

        A drain that `keeps_all` stops reading at the limit instead, and loses nothing.
        """
        self._fd = fd
        self._limit = limit
        self._keeps_all = keeps_all
        self._kept = bytearray()
        os.set_blocking(fd, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    def _read(self) -> bool:
        """Read once; tell whether there may be more."""
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return False
        self._kept += data
        if not data or (self._keeps_all and len(self._kept) >= self._limit):
            self._loop.remove_reader(self._fd)
            return False
        if len(self._kept) > 2 * self._limit:
            self._cut()
        return True

    def _cut(self) -> None:
        if not self._keeps_all and len(self._kept) > self._limit:
            del self._kept[: len(self._kept) - self._limit]

    def stop(self) -> bytes:
        """Stop reading, and return what is kept, the bytes in the pipe included."""
        if self._loop.remove_reader(self._fd):
            for _ in range(LAST_READS):
                if not self._read():
                    break
        self._cut()
        return bytes(self._kept)


@contextlib.contextmanager
def drained_pipe(limit: int) -> Iterator[tuple[Drain, int]]:
    """Make a pipe that is drained during the block; yield its end for writing too."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        drain = Drain(reader, limit)
        try:
            yield drain, writer
        finally:
            drain.stop()
    finally:
        os.close(reader)
        os.close(writer)
