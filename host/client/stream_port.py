# SPDX-License-Identifier: Apache-2.0
"""A port of this host to which the agent of a guest connects a stream of a process.

    DIRECTORY/kata-port.1f0a93c2/s    the socket, in a directory that is locked
    DIRECTORY/guest.sock_2734150012   a link to it, by which the guest's side finds it

Programs in a VM may connect to ports of the host too. So the number is a secret, the
socket is there for the moment of one call, and takes one connection. A link of a
program that was killed leads nowhere, and `sweep_links` removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from kata_host.scratch import Scratch
from ttrpc.address import HybridVsockAddress, parse_address

FIRST_PORT: Final = 1 << 30
"""Lower ports are those of the agent and of others that listen on this host."""
LAST_PORT: Final = (1 << 32) - 2
_LINK: Final = re.compile(r"\.sock_\d{10}$")

Stream = Literal["stdin", "stdout"]


class StreamPort:
    """Listens for the one connection of a stream."""

    def __init__(self, stream: Stream, number: int, listener: socket.socket) -> None:
        """Use `stream_port` instead."""
        self.stream: Stream = stream
        self.number = number
        self._listener = listener

    def take(self) -> socket.socket | None:
        """Return the connection that has been made; None if the agent makes none."""
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return None
        connection.setblocking(False)
        return connection


@contextlib.contextmanager
def stream_port(agent: str, stream: Stream) -> Iterator[StreamPort | None]:
    """Have a port for the block, beside the agent's address; None where there is none.

    A guest at a `hvsock` address finds ports of this host beside that socket. No port
    can be made there for want of permission, or because the path is too long.
    """
    with contextlib.ExitStack() as stack:
        try:
            port = _open(agent, stream, stack)
        except OSError:
            port = None
        yield port


def _open(agent: str, stream: Stream, stack: contextlib.ExitStack) -> StreamPort | None:
    address = parse_address(agent)
    if not isinstance(address, HybridVsockAddress):
        return None
    number = FIRST_PORT + int.from_bytes(os.urandom(8)) % (LAST_PORT - FIRST_PORT)
    folder = stack.enter_context(Scratch("port", Path(address.path).parent))
    listener = stack.enter_context(
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    )
    listener.bind(os.fspath(folder / "s"))
    # Linux lets one more connect than it is told here.
    listener.listen(0)
    link = Path(f"{address.path}_{number}")
    link.symlink_to(folder / "s")
    stack.callback(link.unlink, missing_ok=True)
    return StreamPort(stream, number, listener)


def sweep_links(directory: Path) -> None:
    """Remove the links of programs that were killed, whose directories are gone."""
    for name in os.listdir(directory):
        path = directory / name
        if _LINK.search(name) and path.is_symlink() and not path.exists():
            path.unlink(missing_ok=True)
