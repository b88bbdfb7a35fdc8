# SPDX-License-Identifier: Apache-2.0
"""Listens on an address."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import Final

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.aio.dial import connect_unix

BACKLOG: Final = 512
"""Connections that may wait to be accepted (man 2 listen)."""


def listen(address: Address | str) -> socket.socket:
    """Return a nonblocking listening socket.

    The file of a unix socket that a dead server left behind is replaced.

    Raises:
        ValueError: `address` is not an address, or one that only a client can use.
        OSError: the address is in use, or this process may not use it.
    """
    if isinstance(address, str):
        address = parse_address(address)
    if isinstance(address, HybridVsockAddress):
        raise ValueError(f"address '{address}': only the VMM listens there")
    if isinstance(address, UnixAddress):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        if isinstance(address, UnixAddress):
            _remove_stale(address)
            sock.bind(address.sockaddr)
        else:
            sock.bind((address.cid, address.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(address: UnixAddress) -> None:
    """Remove the socket file that no server listens on any more."""
    if address.path.startswith("@"):
        return
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(address.path).st_mode):
            return
        try:
            connect_unix(address).close()
        except BlockingIOError:
            pass  # A live server, whose backlog is full.
        except ConnectionRefusedError:
            os.unlink(address.path)
