# SPDX-License-Identifier: Apache-2.0
"""Two file descriptors as a byte stream: a program's own standard streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

RECEIVE_SIZE: Final = 64 << 10


class Pipes:
    """A `ByteStream` that reads one descriptor and writes another.

        server.serve_connection(Pipes(0, 1))

    A program that serves like that is reached by `ssh host program`, or by its parent.
    Pipes, terminals and sockets will do, files not.
    """

    def __init__(self, reading: int, writing: int) -> None:
        """Make both nonblocking, for all that share them; they are closed in the end.

        Raises:
            OSError: one of them is not an open descriptor.
        """
        self._loop = asyncio.get_running_loop()
        self._reading = reading
        self._writing = writing
        for fd in (reading, writing):
            os.set_blocking(fd, False)

    async def receive(self) -> bytes:
        """Read what is there."""
        while True:
            try:
                return os.read(self._reading, RECEIVE_SIZE)
            except BlockingIOError:
                await self._ready(
                    self._reading, self._loop.add_reader, self._loop.remove_reader
                )

    async def send(self, data: bytes) -> None:
        """Write all, and wait while the pipe is full."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._writing, left) :]
            except BlockingIOError:
                await self._ready(
                    self._writing, self._loop.add_writer, self._loop.remove_writer
                )

    def close(self) -> None:
        """Close both descriptors."""
        for fd in {self._reading, self._writing}:
            os.close(fd)

    async def _ready(
        self,
        fd: int,
        add: Callable[..., None],
        remove: Callable[[int], object],
    ) -> None:
        ready = self._loop.create_future()
        add(fd, _set, ready)
        try:
            await ready
        finally:
            remove(fd)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
