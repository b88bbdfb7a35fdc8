# SPDX-License-Identifier: Apache-2.0
"""A vsock listener that only the host can connect to.

Where the guest's kernel has vsock loopback (`CONFIG_VSOCKETS_LOOPBACK`), every process
of the guest can connect to the guest's own ports, also one in a container, because
network namespaces do not separate AF_VSOCK. Such a process has the context id 1 or the
guest's. No process of the guest can have the host's: the kernel refuses a connection
whose peer's id belongs to another transport (Linux, net/vmw_vsock,
`virtio_transport_recv_listen`).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Any, Final, Self

log = logging.getLogger(__name__)

HOST_CID: Final = 2
"""VMADDR_CID_HOST, man 7 vsock."""


class HostListener(socket.socket):
    """A nonblocking listener that accepts connections of the host and no others."""

    _has_refused = False

    @classmethod
    def of(cls, listener: socket.socket) -> Self:
        """Take over a listening socket."""
        listener.setblocking(False)
        return cls(fileno=listener.detach())

    def accept(self) -> tuple[socket.socket, Any]:
        """Return a connection of the host and its address.

        A connection of anyone else is closed, and a `BlockingIOError` tells the caller
        that none has come. Each call looks at one connection, so that a flood of them
        does not hold the caller.
        """
        connection, address = super().accept()
        if is_host(address):
            return connection, address
        connection.close()
        if not self._has_refused:
            # Once, because a process in a container could fill the log.
            self._has_refused = True
            log.warning("connection is not the host's", extra={"peer": address})
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def is_host(address: object) -> bool:
    """Return whether the address of a peer is the host's; False for all but vsock's."""
    match address:
        case (int(cid), int()):
            return cid == HOST_CID
        case _:
            return False
