# SPDX-License-Identifier: Apache-2.0
"""Listening sockets of the trace port."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ttrpc.aio.listen
from kata_host.forwarder.defaults import SOCKET_MODE
from ttrpc.address import HybridVsockAddress, UnixAddress, VsockAddress, parse_address

BACKLOG: Final = 64


@dataclass(frozen=True, slots=True)
class TraceListener:
    """A bound, listening socket and its name in logs."""

    socket: socket.socket
    name: str


async def listen(
    address: str, *, mode: int = SOCKET_MODE, group: int = -1
) -> TraceListener:
    """Listen on an address.

    unix:///run/trace.sock               this unix socket
    hvsock:///run/vm/clh.sock:10240      port 10240 of the guest of this hybrid vsock:
                                         the unix socket /run/vm/clh.sock_10240
    vsock://-1:10240                     every guest of this host's vhost-vsock

    `mode` and the group id `group` are those of a unix socket; -1 leaves the group.

    Raises `ValueError` for any other address, `OSError` if the socket cannot listen.
    """
    parsed = parse_address(address)
    match parsed:
        case UnixAddress(path) if path.startswith("/"):
            return await listen_unix(Path(path), mode=mode, group=group)
        case HybridVsockAddress(path, port):
            return await listen_unix(Path(f"{path}_{port}"), mode=mode, group=group)
        case VsockAddress():
            listener = await ttrpc.aio.listen.listen(parsed, backlog=BACKLOG)
            return TraceListener(listener, str(parsed))
        case _:
            raise ValueError(f"invalid trace port address {address!r}")


async def listen_unix(
    path: Path, *, mode: int = SOCKET_MODE, group: int = -1
) -> TraceListener:
    """Listen on a unix socket; replace one on which no process listens any more.

    `path` is absolute. Raises `OSError` if it is not a socket, or if a process listens
    on it.
    """
    address = UnixAddress(str(path))
    try:
        listener = await ttrpc.aio.listen.listen(
            address, mode=mode, owner=(-1, group), backlog=BACKLOG
        )
    except OSError as error:
        # The error may name the directory alone.
        raise OSError(error.errno, error.strerror, str(path)) from error
    return TraceListener(listener, str(address))
