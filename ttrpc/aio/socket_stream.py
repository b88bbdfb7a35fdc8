# SPDX-License-Identifier: Apache-2.0
"""A socket as a byte stream, for what carries others' bytes over it."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

RECEIVE_SIZE: Final = 64 << 10


class SocketStream:
    """A `ByteStream` of a connected, nonblocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock

    async def receive(self) -> bytes:
        return await self._loop.sock_recv(self._sock, RECEIVE_SIZE)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._sock, data)

    def close(self) -> None:
        self._sock.close()
