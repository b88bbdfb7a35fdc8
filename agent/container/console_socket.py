# SPDX-License-Identifier: Apache-2.0
"""The socket over which the OCI runtime sends the master of a terminal.

The runtime makes the terminal inside the container (runc's docs/terminals.md,
"console-socket").
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kata_agent.errors import Timeout

ARRIVAL_TIMEOUT: Final = 10.0
"""Seconds from the runtime's success to the arrival of the master."""

_numbers = itertools.count()


class ConsoleSocket:
    """A listening socket for one terminal's master; a context manager."""

    def __init__(self, directory: Path) -> None:
        """Listen in `directory`, whose path must be short (man 7 unix, sun_path)."""
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
        """Return a descriptor of the master for the caller. Raises `Timeout`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ARRIVAL_TIMEOUT):
                connection, _ = await loop.sock_accept(self._listener)
                with connection:
                    return await _receive_descriptor(connection)
        except TimeoutError:
            raise Timeout("terminal: not sent by the runtime") from None


async def _receive_descriptor(connection: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _settle, readable)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    # The payload is the name of the terminal, which is not needed.
    _, descriptors, flags, _ = socket.recv_fds(connection, 4096, 1)
    if flags & socket.MSG_CTRUNC:
        # The kernel had no number for it (man 7 unix, SCM_RIGHTS).
        raise OSError(errno.EMFILE, "terminal: " + os.strerror(errno.EMFILE))
    if not descriptors:
        raise ConnectionError("terminal: no descriptor sent by the runtime")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
