# SPDX-License-Identifier: Apache-2.0
"""The agent's ends of a process's stdin, stdout and stderr.

Nonblocking descriptors on the event loop: a parked reader costs a coroutine and
nothing else. An output ends when every holder has closed it. A background
grandchild may hold it for ever, so an output is also cut `LINGER` seconds after
its process ended; what was written until then is still delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import Internal

LINGER: Final = 0.4
"""Seconds; runtimes wait for the end of both outputs before `WaitProcess`, and
expect it within 500 ms of the exit."""
READ_LIMIT: Final = 1 << 20
"""The most that one read returns, however much was asked for."""
BUSY: Final = 32 << 10
"""Bytes at once, as Kata's runtimes read, that tell of a stream worth a larger pipe."""
BUSY_PIPE_SIZE: Final = 1 << 20
"""/proc/sys/fs/pipe-max-size, as it comes."""
F_SETPIPE_SZ: Final = 1031
"""linux/fcntl.h"""


class Output:
    """One stream that a process writes and clients read."""

    def __init__(self, fd: int, *, grows: bool = False) -> None:
        """Own `fd`, the read end of a pipe or the master of a terminal.

        A pipe that `grows` gets larger when it is busy.
        """
        os.set_blocking(fd, False)
        self._fd = fd
        self._grows = grows
        self._turn = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None
        self._remaining: int | None = None
        self._cut: asyncio.TimerHandle | None = None

    @property
    def is_closed(self) -> bool:
        return self._fd < 0

    @property
    def is_drained(self) -> bool:
        """Whether there is nothing left to read right now."""
        return self._fd < 0 or _unread(self._fd) == 0

    async def read(self, limit: int) -> bytes:
        """Return what is there, up to `limit` bytes, waiting for the first.

        Nothing means the end of the stream. Several readers are served in turn.
        """
        if limit <= 0:
            return b""
        async with self._turn:
            while True:
                data = self._take(min(limit, READ_LIMIT))
                if data is not None:
                    return data
                await self._wait_readable()

    def _take(self, limit: int) -> bytes | None:
        """Return data, nothing at the end, or None when there is none yet."""
        if self._fd < 0:
            return b""
        if self._remaining is not None:
            limit = min(limit, self._remaining)
        try:
            data = os.read(self._fd, limit) if limit else b""
        except BlockingIOError:
            if self._remaining is None:
                return None
            data = b""
        except OSError as error:
            # A terminal whose other side is fully closed (man 4 pts).
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            self.close()
        elif self._remaining is not None:
            self._remaining -= len(data)
        elif self._grows and len(data) >= BUSY:
            self._grows = False
            grow(self._fd)
        return data

    async def _wait_readable(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        loop.add_reader(self._fd, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._fd >= 0:
                loop.remove_reader(self._fd)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end_soon(self) -> None:
        """Tell that the process ended: whoever still holds the stream has `LINGER`."""
        if self._fd >= 0 and self._cut is None:
            loop = asyncio.get_running_loop()
            self._cut = loop.call_later(LINGER, self._end)

    def _end(self) -> None:
        if self._fd >= 0:
            self._remaining = _unread(self._fd)
            self._wake()

    def detach(self) -> int:
        """Give the descriptor away; the stream reads as ended from now on."""
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Close the stream; a waiting reader gets the end of it."""
        if self._cut is not None:
            self._cut.cancel()
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._wake()


class Input:
    """The stream that clients write and a process reads."""

    def __init__(self, fd: int, *, grows: bool = False) -> None:
        """Own `fd`, the write end of a pipe or the master of a terminal.

        A pipe that `grows` gets larger when it is busy.
        """
        os.set_blocking(fd, False)
        self._fd = fd
        self._grows = grows
        self._turn = asyncio.Lock()
        self._waiter: asyncio.Future[None] | None = None
        self._writers = 0
        self._ending = False

    async def write(self, data: bytes) -> int:
        """Write all of `data`, in turn with other writers; return its length.

        After `end` nothing is written and 0 returned. Raises `Internal` when
        nobody reads the stream any more.
        """
        if self._ending:
            return 0
        self._writers += 1
        try:
            async with self._turn:
                await self._write_all(memoryview(data))
        finally:
            self._writers -= 1
            self._close_if_ended()
        return len(data)

    async def _write_all(self, rest: memoryview) -> None:
        while rest:
            if self._fd < 0:
                raise Internal("stdin: closed before everything was written")
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                if self._grows and len(rest) >= BUSY:
                    self._grows = False
                    grow(self._fd)
                else:
                    await self._wait_writable()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise
                raise Internal("stdin: nobody reads it any more") from error

    async def _wait_writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        loop.add_writer(self._fd, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._fd >= 0:
                loop.remove_writer(self._fd)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Let the process read the end of the stream, after all that was written."""
        self._ending = True
        self._close_if_ended()

    def _close_if_ended(self) -> None:
        if self._ending and not self._writers:
            self.close()

    def detach(self) -> int:
        """Give the descriptor away; writing is over."""
        self._ending = True
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Close at once; a waiting writer fails."""
        self._ending = True
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._wake()


@dataclass(slots=True)
class Stdio:
    """The agent's side of a process's standard streams."""

    input: Input
    stdout: Output
    stderr: Output | None
    """None on a terminal, where both outputs are one."""
    resize: Callable[[int, int], None] | None = None
    """Sets a terminal's size, in rows and columns; None without a terminal."""

    @property
    def outputs(self) -> list[Output]:
        return [output for output in (self.stdout, self.stderr) if output is not None]

    def close(self) -> None:
        """Close everything the agent holds."""
        self.input.close()
        for output in self.outputs:
            output.close()


@dataclass(slots=True)
class Pipes:
    """Three pipes: the agent's ends as a `Stdio`, the process's as descriptors."""

    stdio: Stdio
    stdin: int
    stdout: int
    stderr: int

    def close_theirs(self) -> None:
        """Close the process's ends, once it has its own copies."""
        for fd in (self.stdin, self.stdout, self.stderr):
            os.close(fd)


def open_pipes(size: int = 0) -> Pipes:
    """Make the three pipes; stdout's and stderr's hold `size` bytes.

    With 0 they are the kernel's, and grow when they are busy, as stdin's does.
    """
    stdin, stdin_writer = os.pipe2(os.O_CLOEXEC)
    stdout_reader, stdout = os.pipe2(os.O_CLOEXEC)
    stderr_reader, stderr = os.pipe2(os.O_CLOEXEC)
    if size > 0:
        for fd in (stdout, stderr):
            set_pipe_size(fd, size)
    stdio = Stdio(
        Input(stdin_writer, grows=True),
        Output(stdout_reader, grows=not size),
        Output(stderr_reader, grows=not size),
    )
    return Pipes(stdio, stdin, stdout, stderr)


def grow(fd: int) -> None:
    """Enlarge the pipe of a busy stream, if the kernel can: it works without."""
    with contextlib.suppress(OSError):
        set_pipe_size(fd, BUSY_PIPE_SIZE)


def set_pipe_size(fd: int, size: int) -> None:
    """Have a pipe hold `size` bytes (man 2 fcntl), if we may.

    Over /proc/sys/fs/pipe-max-size takes CAP_SYS_RESOURCE: a smaller pipe is slower,
    not wrong.
    """
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, F_SETPIPE_SZ, size)


def _unread(fd: int) -> int:
    """Bytes that can be read from a pipe or terminal (man 2 ioctl_tty, FIONREAD)."""
    answer = bytearray(4)
    try:
        fcntl.ioctl(fd, termios.FIONREAD, answer)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return 0
    return int.from_bytes(answer, sys.byteorder)
