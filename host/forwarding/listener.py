# SPDX-License-Identifier: Apache-2.0
"""The socket that listens on a port of this host."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from kata_host.errors import FileError
from kata_host.forwarding.published_port import PublishedPort

BACKLOG: Final = 128


def listen(published: PublishedPort) -> socket.socket:
    """Listen on the port, nonblocking. Raises `FileError` if it is taken."""
    listener = socket.socket(published.family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if published.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((published.address, published.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise FileError(
            f"port {published.port} of {published.address}: "
            f"{os.strerror(error.errno or errno.EINVAL)}"
        ) from error
    return listener


def place_of(listener: socket.socket) -> str:
    """Return the address and the port, as in a URL."""
    address, port = listener.getsockname()[:2]
    host = f"[{address}]" if listener.family == socket.AF_INET6 else address
    return f"{host}:{port}"
