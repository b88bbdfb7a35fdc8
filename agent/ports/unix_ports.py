# SPDX-License-Identifier: Apache-2.0
"""The ports of a local guest, which has no vsock of its own.

`UnixPorts` follows the hybrid-vsock layout around the guest's socket `BASE`:

    BASE         the host connects here and asks for a guest port (`CONNECT 1024`)
    BASE.d/P     the agent listens here for guest port P
    BASE_P       the host listens here for connections to host port P
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from kata_agent.ports.ports import BACKLOG


class UnixPorts:
    """Unix sockets around the guest's socket `base`."""

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
