# SPDX-License-Identifier: Apache-2.0
"""Writing everything to a nonblocking descriptor, one writer at a time."""

from __future__ import annotations

import asyncio
import errno
import os
import select
from collections.abc import Callable

from kata_agent.container.pipe_size import BUSY_CHUNK, enlarge_busy_pipe
from kata_agent.container.readiness import Readiness, events
from kata_agent.errors import Internal


class DescriptorWriter:
    """The write end of a pipe, or the master of a terminal."""

    def __init__(self, fd: int, *, grows: bool = False) -> None:
        """Own `fd`. A pipe that `grows` is enlarged once it is busy."""
        os.set_blocking(fd, False)
        self.fd = fd
        """-1 once closed."""
        self._grows = grows
        self._is_terminal = os.isatty(fd)
        self._write_lock = asyncio.Lock()
        self._writers = 0
        self._when_idle: Callable[[], None] | None = None
        self._readiness = Readiness(fd)

    async def write(self, data: bytes) -> None:
        """Write all of `data`, in turn with other writers.

        Raises `Internal` once no process reads the stream, or after `close`.
        """
        self._writers += 1
        try:
            async with self._write_lock:
                await self._write_all(memoryview(data))
        finally:
            self._writers -= 1
            self._call_if_idle()

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, as soon as no writer waits."""
        self._when_idle = callback
        self._call_if_idle()

    def _call_if_idle(self) -> None:
        if self._when_idle is not None and not self._writers:
            callback, self._when_idle = self._when_idle, None
            callback()

    async def _write_all(self, rest: memoryview) -> None:
        while rest:
            if self.fd < 0:
                raise Internal("stdin: closed before everything was written")
            # The kernel empties the buffer of a terminal that no process holds, some
            # time later, and takes bytes again.
            if self._is_terminal and events(self.fd) & select.POLLHUP:
                raise Internal("stdin: no process reads it any more")
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:
                if self._grows and len(rest) >= BUSY_CHUNK:
                    self._grows = False
                    enlarge_busy_pipe(self.fd)
                else:
                    await self._readiness.wait_writable()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise
                raise Internal("stdin: no process reads it any more") from error

    def close(self) -> None:
        """Close at once; a waiting writer fails."""
        if self.fd < 0:
            return
        asyncio.get_running_loop().remove_writer(self.fd)
        os.close(self.fd)
        self.fd = self._readiness.fd = -1
        self._readiness.wake()
