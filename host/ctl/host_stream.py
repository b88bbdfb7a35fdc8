# SPDX-License-Identifier: Apache-2.0
"""This program's own standard streams, for an event loop that must never block.

A pipe or terminal is opened a second time through /proc/self/fd, because O_NONBLOCK on
the original would apply to every process that shares it, a shell for instance. A file
that has no readiness (a regular file) or cannot be opened again (a socket, another
user's pipe) is used as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator
from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
CHUNK: Final = 64 * 1024


class HostStream:
    """One of the standard descriptors, for reading or for writing."""

    def __init__(self, fd: int, *, writing: bool) -> None:
        self._shared = fd
        self._fd = _reopen(fd, os.O_WRONLY if writing else os.O_RDONLY)

    def close(self) -> None:
        """Close the second descriptor; the standard one stays open."""
        if self._fd != self._shared:
            os.close(self._fd)

    async def read(self) -> bytes:
        """Return up to `CHUNK` bytes, once there are some; b"" at the end."""
        await self._wait(writing=False)
        while True:
            try:
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                await self._wait(writing=False)

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises `BrokenPipeError` if the reader has gone."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._wait(writing=True)

    async def _wait(self, *, writing: bool) -> None:
        """Wait for readiness; return at once for a file that has none."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add = loop.add_writer if writing else loop.add_reader
        remove = loop.remove_writer if writing else loop.remove_reader
        try:
            add(self._fd, ready.set)
        except PermissionError:
            return  # man 2 epoll_ctl, EPERM: a regular file, which never blocks.
        try:
            await ready.wait()
        finally:
            remove(self._fd)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


async def write_chunks(chunks: AsyncIterator[bytes], fd: int) -> None:
    """Write chunks to a standard descriptor until there are no more.

    Raises `BrokenPipeError` if the reader has gone.
    """
    with contextlib.closing(HostStream(fd, writing=True)) as stream:
        async for data in chunks:
            await stream.write(data)


def _reopen(fd: int, mode: int) -> int:
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}", mode | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return fd
