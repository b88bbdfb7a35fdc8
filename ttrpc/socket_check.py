# SPDX-License-Identifier: Apache-2.0
"""Refuses sockets on which ttrpc cannot work, before a call waits on one for ever."""

from __future__ import annotations

import socket


def check_connected(sock: socket.socket) -> None:
    """Check a socket that a client uses or a server serves.

    Raises:
        ValueError: it is closed, or no plain stream socket, or it listens.
    """
    _check_stream(sock)
    if _listens(sock):
        raise ValueError("socket: listens, and is not connected")


def check_listening(sock: socket.socket) -> None:
    """Check a socket whose connections a server accepts.

    Raises:
        ValueError: it is closed, or no plain stream socket, or does not listen.
    """
    _check_stream(sock)
    if not _listens(sock):
        raise ValueError("socket: does not listen")


def _check_stream(sock: socket.socket) -> None:
    if sock.fileno() < 0:
        raise ValueError("socket: is closed")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(
            f"socket: {socket.SocketKind(sock.type).name} is not SOCK_STREAM"
        )
    # A TLS socket keeps bytes that no readiness of its descriptor tells of. Its class
    # is known by its module, because `ssl` need not be loaded, or may be a stand-in.
    if any(kind.__module__ == "ssl" for kind in type(sock).__mro__):
        raise ValueError("socket: TLS is not supported")


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
