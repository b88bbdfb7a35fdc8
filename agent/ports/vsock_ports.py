# SPDX-License-Identifier: Apache-2.0
"""The ports of a VM: AF_VSOCK (man 7 vsock)."""

from __future__ import annotations

import socket
from typing import Final

from kata_agent.ports.ports import BACKLOG

HOST_CID: Final = 2
"""VMADDR_CID_HOST, man 7 vsock."""


class VsockPorts:
    """Ports of AF_VSOCK."""

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
