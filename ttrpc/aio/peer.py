# SPDX-License-Identifier: Apache-2.0
"""Identifies the peer of a connected socket."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

from ttrpc.call_context import Peer, PeerCredentials

UCRED: Final = struct.Struct("iII")
"""struct ucred: pid, uid, gid (man 7 unix, SO_PEERCRED)."""


def peer_of(sock: socket.socket) -> Peer:
    """Return the peer of a socket that a server has accepted.

    Raises:
        OSError: the peer has gone already.
    """
    if sock.family == socket.AF_UNIX:
        ucred = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        name = sock.getsockname()
        path = name if isinstance(name, str) else "@" + os.fsdecode(name[1:])
        address = f"unix://{path}" if len(path) > 1 else ""
        return Peer(address, PeerCredentials(*UCRED.unpack(ucred)))
    if sock.family == socket.AF_VSOCK:
        cid, port = sock.getpeername()
        return Peer(f"vsock://{cid}:{port}")
    return Peer("")
