# SPDX-License-Identifier: Apache-2.0
"""Listening sockets of the trace port."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ttrpc.address import HybridVsockAddress, UnixAddress, VsockAddress, parse_address

BACKLOG: Final = 64
SOCKET_MODE: Final = 0o600
"""For the VMM, which connects in the guest's place; `--socket-mode` lets others in."""


@dataclass(frozen=True, slots=True)
class TraceListener:
    """A bound, listening socket and its name in logs."""

    socket: socket.socket
    name: str


def listen(address: str, *, mode: int = SOCKET_MODE) -> TraceListener:
    """Listen on an address.

    unix:///run/trace.sock               this unix socket
    hvsock:///run/vm/clh.sock:10240      port 10240 of the guest of this hybrid vsock:
                                         the unix socket /run/vm/clh.sock_10240
    vsock://-1:10240                     every guest of this host's vhost-vsock

    Raises `ValueError` for any other address, `OSError` if the socket cannot listen.
    """
    parsed = parse_address(address)
    match parsed:
        case UnixAddress(path) if path.startswith("/"):
            return listen_unix(Path(path), mode=mode)
        case HybridVsockAddress(path, port):
            return listen_unix(Path(f"{path}_{port}"), mode=mode)
        case VsockAddress(cid, port):
            listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            try:
                listener.bind((cid, port))
                listener.listen(BACKLOG)
            except BaseException:
                listener.close()
                raise
            return TraceListener(listener, str(parsed))
        case _:
            raise ValueError(f"invalid trace port address {address!r}")


def listen_unix(path: Path, *, mode: int = SOCKET_MODE) -> TraceListener:
    """Listen on a unix socket; replace one on which no process listens any more.

    Raises `FileExistsError` if the path is not a socket, or if a process listens on it.
    """
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # By umask: before a chmod, the directory's owner could put a link in its place.
        umask = os.umask(0o777 & ~mode)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(umask)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        # The kernel's error does not name the path.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    return TraceListener(listener, f"unix://{path}")


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise FileExistsError(f"{path} has another listener")
