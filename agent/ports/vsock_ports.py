# SPDX-License-Identifier: Apache-2.0
"""The ports of a VM: AF_VSOCK (man 7 vsock)."""

from __future__ import annotations

import socket

from kata_agent.ports.host_listener import HOST_CID, HostListener
from kata_agent.ports.ports import BACKLOG


class VsockPorts:
    """Ports of AF_VSOCK."""

    def listen(self, port: int) -> socket.socket:
        return listen_for_host(socket.VMADDR_CID_ANY, port)

    def connect(self, port: int, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect((HOST_CID, port))
        except BaseException:
            connection.close()
            raise
        return connection


def listen_for_host(cid: int, port: int) -> HostListener:
    """Return a nonblocking listener on `port` of the guest's context id `cid`.

    Every vsock listener of the agent is made here, so that none accepts a connection
    from within the guest. Raises `OSError`.
    """
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        listener.bind((cid, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return HostListener.of(listener)
