# SPDX-License-Identifier: Apache-2.0
"""Processes on a terminal: how the master arrives, and what it does.

The runtime makes the terminal inside the container and sends its master over a
unix socket (runc's docs/terminals.md, "console-socket").
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import socket
import struct
import termios
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kata_agent.container.stdio import Input, Output, Stdio
from kata_agent.errors import Timeout

ARRIVAL_TIMEOUT: Final = 10.0
"""Seconds from the runtime's success to the arrival of the master."""

_numbers = itertools.count()


class ConsoleSocket:
    """A listening socket for one terminal's master; a context manager."""

    def __init__(self, directory: Path) -> None:
        """Listen below `directory`, whose path must be short (man 7 unix)."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path: Final = directory / f".console-{os.getpid()}-{next(_numbers)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.setblocking(False)
            self._listener.bind(os.fspath(self.path))
            self._listener.listen(1)
        except BaseException:
            self._listener.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.path.unlink(missing_ok=True)

    async def receive(self) -> int:
        """Return the master's descriptor, which the caller owns. Raises `Timeout`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ARRIVAL_TIMEOUT):
                connection, _ = await loop.sock_accept(self._listener)
                with connection:
                    return await _receive_descriptor(connection)
        except TimeoutError:
            raise Timeout("terminal: the runtime did not send it") from None


async def _receive_descriptor(connection: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _settle, readable)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    # The payload is the terminal's name, which nobody needs.
    _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    if not descriptors:
        raise ConnectionError("terminal: the runtime sent no descriptor")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class TerminalInput(Input):
    """A terminal's input, which is never closed while the process lives.

    Closing the master would hang up the terminal. Where lines are edited, the
    end of the input is said as a person says it: with the end-of-file character.
    """

    def resize(self, rows: int, columns: int) -> None:
        """Set the window size, in characters; the kernel sends SIGWINCH."""
        size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)

    def end(self) -> None:
        if self._ending or self._fd < 0:
            return
        self._ending = True
        with contextlib.suppress(BlockingIOError, termios.error):
            attributes = termios.tcgetattr(self._fd)
            if attributes[3] & termios.ICANON:
                os.write(self._fd, attributes[6][termios.VEOF])

    def _close_if_ended(self) -> None:
        return


def to_stdio(master: int) -> Stdio:
    """Return the streams of the terminal whose master is `master`, and own it."""
    # Two descriptors of one file, so that each stream owns one.
    stdin = TerminalInput(fcntl.fcntl(master, fcntl.F_DUPFD_CLOEXEC, 3))
    return Stdio(stdin, Output(master), None, stdin.resize)
