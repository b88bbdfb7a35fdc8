# SPDX-License-Identifier: Apache-2.0
"""The ports between guest and host: AF_VSOCK, or unix sockets that stand for it.

In a VM a port is a vsock port. In a local guest, which has no vsock of its own,
`UnixPorts` follows the hybrid-vsock layout around the guest's socket `BASE`:

    BASE         the host connects here and asks for a guest port (`CONNECT 1024`)
    BASE.d/P     the agent listens here for guest port P
    BASE_P       the host listens here for connections to host port P
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final, Protocol

HOST_CID: Final = 2
"""VMADDR_CID_HOST, man 7 vsock."""
BACKLOG: Final = 128


class Ports(Protocol):
    """Listens on guest ports and connects to host ports."""

    def listen(self, port: int) -> socket.socket:
        """Return a nonblocking listening stream socket for guest port `port`."""

    def connect(self, port: int, timeout: float) -> socket.socket:
        """Return a blocking stream socket to host port `port`.

        Blocks for up to `timeout` seconds. Raises `OSError` when nobody listens.
        """


class VsockPorts:
    """The real thing (man 7 vsock)."""

    def listen(self, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            listener.bind((socket.VMADDR_CID_ANY, port))
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        listener.setblocking(False)
        return listener

    def connect(self, port: int, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect((HOST_CID, port))
        except BaseException:
            connection.close()
            raise
        return connection


class UnixPorts:
    """Ports of a local guest, as unix sockets around `base`."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def listen(self, port: int) -> socket.socket:
        directory = Path(f"{self._base}.d")
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / str(port)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        listener.setblocking(False)
        return listener

    def connect(self, port: int, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(f"{self._base}_{port}")
        except BaseException:
            connection.close()
            raise
        return connection
