# SPDX-License-Identifier: Apache-2.0
"""The host's own standard streams, for an event loop that must never block.

A pipe or terminal is opened a second time through /proc/self/fd: O_NONBLOCK on
the original would hold for everybody who shares it, a shell for instance. What
has no readiness (a regular file) or cannot be opened again (a socket, somebody
else's pipe) is used as it is.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from typing import Final

CHUNK: Final = 64 * 1024


class HostStream:
    """One of the standard descriptors, to read from or to write to."""

    def __init__(self, fd: int, *, writing: bool) -> None:
        self._shared = fd
        self._fd = _reopen(fd, os.O_WRONLY if writing else os.O_RDONLY)

    def close(self) -> None:
        """Give up the second descriptor; the standard one stays open."""
        if self._fd != self._shared:
            os.close(self._fd)

    async def read(self) -> bytes:
        """Return what there is, once there is something; b"" at the end."""
        await self._wait(writing=False)
        while True:
            try:
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                await self._wait(writing=False)

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises `BrokenPipeError` when nobody reads."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._wait(writing=True)

    async def _wait(self, *, writing: bool) -> None:
        """Wait for readiness; return at once where there is no such thing."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add = loop.add_writer if writing else loop.add_reader
        remove = loop.remove_writer if writing else loop.remove_reader
        try:
            add(self._fd, ready.set)
        except PermissionError:
            return  # epoll_ctl(2), EPERM: a regular file, which never blocks.
        try:
            await ready.wait()
        finally:
            remove(self._fd)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


def _reopen(fd: int, mode: int) -> int:
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}", mode | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return fd
