# SPDX-License-Identifier: Apache-2.0
"""This program's own standard streams, for an event loop that must never block.

A pipe or terminal is opened a second time through /proc/self/fd, because O_NONBLOCK on
the original would apply to every process that shares it, a shell for instance. A file
that has no readiness (a regular file) or cannot be opened again (another user's pipe)
is used as it is. Calls of a socket do not block (MSG_DONTWAIT, man 2 send).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from typing import Final

from kata_host.stream_error import StreamError, write_error

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
CHUNK: Final = 64 * 1024
_TERMINALS: Final = {3, 4, 5, *range(136, 144)}
"""Major numbers of terminals (Linux, Documentation/admin-guide/devices.txt)."""


class HostStream:
    """One of the standard descriptors, for reading or for writing."""

    def __init__(self, fd: int, *, writing: bool) -> None:
        self._shared = fd
        self._fd = _reopen(fd, os.O_WRONLY if writing else os.O_RDONLY)
        self._socket = (
            socket.socket(fileno=os.dup(fd))
            if stat.S_ISSOCK(os.fstat(fd).st_mode)
            else None
        )

    def close(self) -> None:
        """Close the second descriptor; the standard one stays open."""
        if self._fd != self._shared:
            os.close(self._fd)
        if self._socket is not None:
            self._socket.close()

    async def read(self) -> bytes:
        """Return up to `CHUNK` bytes, once there are some; b"" at the end.

        The hang-up of a terminal is the end. Raises `StreamError`.
        """
        await self._wait(writing=False)
        while True:
            try:
                if self._socket is not None:
                    return self._socket.recv(CHUNK, socket.MSG_DONTWAIT)
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                await self._wait(writing=False)
            except OSError as error:
                # man 3 termios, "Modem Disconnect".
                if error.errno == errno.EIO and _is_terminal(self._fd):
                    return b""
                raise StreamError(self._shared, error) from error

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises `StreamError`, `ReaderGone` among them."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._write(view) :]
            except BlockingIOError:
                await self._wait(writing=True)
            except OSError as error:
                raise write_error(self._shared, error) from error

    def _write(self, view: memoryview) -> int:
        if self._socket is None:
            return os.write(self._fd, view)
        return self._socket.send(view, socket.MSG_DONTWAIT)

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

    Raises `StreamError`, `ReaderGone` among them.
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


def _is_terminal(fd: int) -> bool:
    # os.isatty is False for a terminal that has hung up.
    kind = os.fstat(fd)
    return stat.S_ISCHR(kind.st_mode) and os.major(kind.st_rdev) in _TERMINALS
