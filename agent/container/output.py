# SPDX-License-Identifier: Apache-2.0
"""The agent's end of a process's stdout or stderr.

The descriptor is nonblocking and on the event loop, so a parked reader costs one
coroutine. An output ends in one of these ways:

    event                                  readers get
    -----                                  -----------
    the last holder closes its end         the unread bytes, then the end
    the process ends, but a grandchild     LINGER seconds later: the bytes unread at
    holds the stream (`end_soon`)          that moment, then the end
    the agent closes it (`close`)          the end at once

While its process lives, a terminal has a last holder: the agent (`TerminalPeer`).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import sys
import termios
from typing import Final

from kata_agent.container.pipe_size import BUSY_CHUNK, enlarge_busy_pipe
from kata_agent.container.readiness import Readiness, events

LINGER: Final = 0.4
"""Seconds. Runtimes wait for the end of both outputs before `WaitProcess`, and expect
that end within 500 ms of the exit."""
READ_LIMIT: Final = 1 << 20
"""Bytes that one read returns at most, also when the caller asks for more."""
READ_AHEAD: Final = 256 << 10
"""Bytes that are taken out of a busy pipe at once, for several reads of less. A full
pipe's writer is woken by each read of the pipe, which takes as long as the read."""
TERMINAL_LIMIT: Final = 1 << 20
"""Bytes that a terminal holds for its reader, at most: 640 KiB and a page
(drivers/tty/tty_buffer.c). FIONREAD counts only the page."""


class Output:
    """One stream that a process writes and clients read."""

    def __init__(self, fd: int, *, grows: bool = False) -> None:
        """Own `fd`, the read end of a pipe or the master of a terminal.

        A pipe that `grows` is enlarged once it is busy.
        """
        os.set_blocking(fd, False)
        self._fd = fd
        self._grows = grows
        self._read_lock = asyncio.Lock()
        self._readers = 0
        """How many have called `read` and have no data yet."""
        self._readiness = Readiness(fd)
        self._unread = memoryview(b"")
        """Bytes that have been read of the descriptor and that no reader has yet."""
        self._is_busy = False
        """Whether a read has got all of the many bytes that it asked for."""
        self._remaining: int | None = None
        """Bytes to deliver before the end; None while the end is not fixed."""
        self._end_timer: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        return self._fd < 0

    def put_back(self, data: bytes) -> None:
        """Give readers `data` first: bytes that were read of the descriptor before."""
        self._unread = memoryview(data)

    async def read(self, limit: int) -> bytes:
        """Return up to `limit` bytes, once there is at least one.

        Returns `b""` at the end of the stream. Several readers are served in turn.
        """
        self._readers += 1
        try:
            async with self._read_lock:
                while (data := self._read_now(limit)) is None:
                    await self._readiness.wait_readable()
                return data
        finally:
            self._readers -= 1

    def read_now(self, limit: int) -> bytes | None:
        """Return what `read` would without a wait; None if it has to wait."""
        return None if self._readers else self._read_now(limit)

    def _read_now(self, limit: int) -> bytes | None:
        """Return data, `b""` at the end, or None when nothing is there yet."""
        if self._fd < 0 or limit <= 0:
            return b""
        limit = min(limit, READ_LIMIT)
        if not self._unread:
            size = max(limit, READ_AHEAD) if self._is_busy else limit
            data = self._read_descriptor(size)
            if data is None or len(data) <= limit:
                self._is_busy = data is not None and len(data) >= BUSY_CHUNK
                return data
            self._unread = memoryview(data)
        taken, self._unread = self._unread[:limit], self._unread[limit:]
        return bytes(taken)

    def _read_descriptor(self, size: int) -> bytes | None:
        """Read up to `size` bytes; `b""` is the end, None that nothing is there yet."""
        if self._remaining is not None:
            size = min(size, self._remaining)
        try:
            data = os.read(self._fd, size) if size else b""
        except BlockingIOError:
            if self._remaining is None:
                return None
            data = b""
        except OSError as error:
            # A terminal that no process holds (man 4 pts), nor the agent.
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            self.close()
        elif self._remaining is not None:
            self._remaining -= len(data)
        elif self._grows and len(data) >= BUSY_CHUNK:
            self._grows = False
            enlarge_busy_pipe(self._fd)
        return data

    def end_soon(self) -> None:
        """End the stream in `LINGER` seconds, because its process has ended."""
        if self._fd >= 0 and self._end_timer is None:
            loop = asyncio.get_running_loop()
            self._end_timer = loop.call_later(LINGER, self._fix_end)

    def _fix_end(self) -> None:
        if self._fd < 0:
            return
        if not (self._unread or events(self._fd) & select.POLLIN):
            self.close()
            return
        is_terminal = os.isatty(self._fd)
        self._remaining = TERMINAL_LIMIT if is_terminal else _bytes_in(self._fd)
        self._readiness.wake()

    def close_if_ended(self) -> None:
        """Close the stream if no process holds it and all of it has been read."""
        if self._fd < 0 or self._unread:
            return
        if events(self._fd) & (select.POLLIN | select.POLLHUP) == select.POLLHUP:
            self.close()

    def close(self) -> None:
        """Close the stream; a waiting reader gets the end of the stream."""
        if self._end_timer is not None:
            self._end_timer.cancel()
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = self._readiness.fd = -1
        self._readiness.wake()


def _bytes_in(pipe: int) -> int:
    """Return the bytes that can be read at once (man 7 pipe, FIONREAD)."""
    answer = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, answer)
    return int.from_bytes(answer, sys.byteorder)
