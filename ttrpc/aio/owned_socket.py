# SPDX-License-Identifier: Apache-2.0
"""Takes over the connection that a program gives to a client or a server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ttrpc.socket_check import check_connected

if TYPE_CHECKING:
    from ttrpc.aio.byte_stream import ByteStream
    from ttrpc.aio.stream_socket import StreamSocket


def check_connection(connection: socket.socket | ByteStream) -> None:
    """Check a connection before it is taken over.

    Raises:
        ValueError: a socket that is not a connected stream socket without TLS.
        TypeError: neither a socket nor a ByteStream.
    """
    if isinstance(connection, socket.socket):
        check_connected(connection)
        return
    for method in ("receive", "send", "close"):
        if not callable(getattr(connection, method, None)):
            kind = type(connection).__name__
            raise TypeError(f"connection: {kind} is neither a socket nor a ByteStream")


def owned_socket(
    connection: socket.socket | ByteStream,
) -> socket.socket | StreamSocket:
    """Return the connection as the nonblocking socket that a transport uses."""
    if isinstance(connection, socket.socket):
        connection.setblocking(False)
        return connection
    # Here, so that a server of sockets alone does not load it.
    from ttrpc.aio.stream_socket import StreamSocket

    return StreamSocket(connection)
