# SPDX-License-Identifier: Apache-2.0
"""The host's side of streams that have connections of their own, on unix sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Final

BASE: Final = Path("/run/guest.sock")
"""What `UnixPorts` of the test's agent connects to, with `_PORT` appended."""


def listen(port: int) -> socket.socket:
    """Listen on a port of the host."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{BASE}_{port}")
    listener.listen()
    listener.setblocking(False)
    return listener


async def accept(listener: socket.socket) -> socket.socket:
    """Return the agent's connection."""
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    return connection


async def receive_all(connection: socket.socket, chunk: int = 1 << 16) -> bytes:
    """Receive until the end; a small `chunk` makes a slow reader."""
    loop = asyncio.get_running_loop()
    chunks = []
    while data := await loop.sock_recv(connection, chunk):
        chunks.append(data)
        # Let every other task go on between two reads.
        await asyncio.sleep(0)
    return b"".join(chunks)
