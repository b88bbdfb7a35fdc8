# SPDX-License-Identifier: Apache-2.0
"""The debug console of any Kata agent: bytes as they are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Final

CHUNK: Final = 64 * 1024


class RawConsole:
    """Any agent's debug console, which tells no status: 0 stands for each."""

    follows_size = False

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def send(self, keys: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, keys)

    async def resize(self, rows: int, columns: int) -> None:
        del rows, columns

    async def output(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._connection, CHUNK):
            yield data

    def status(self) -> int:
        return 0
