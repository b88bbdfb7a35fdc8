# SPDX-License-Identifier: Apache-2.0
"""The shell port of our own agent: frames, as docs/design/shell.md has them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Final

from kata_host.ctl.errors import CommandError

_HEADER: Final = struct.Struct(">BI")
_KEYS, _OUTPUT, _STATUS, _SIZE = 0, 1, 3, 4
_LENGTHS: Final = {_STATUS: range(4, 5), _OUTPUT: range(65536 + 1)}
"""What a frame of the guest may be, and the bytes of its payload."""


class FramedConsole:
    """The shell port of our own agent."""

    follows_size = True

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = asyncio.Lock()
        """Keys and sizes are sent by two tasks, and frames must not mix."""
        self._status: int | None = None

    async def send(self, keys: bytes) -> None:
        await self._send(_KEYS, keys)

    async def resize(self, rows: int, columns: int) -> None:
        await self._send(_SIZE, struct.pack(">HH", rows, columns))

    async def _send(self, kind: int, payload: bytes) -> None:
        frame = _HEADER.pack(kind, len(payload)) + payload
        async with self._sending:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(self._connection, frame)

    async def output(self) -> AsyncIterator[bytes]:
        while (header := await self._receive(_HEADER.size)) is not None:
            kind, length = _HEADER.unpack(header)
            if length not in _LENGTHS.get(kind, ()):
                # The guest is not trusted.
                raise CommandError(f"shell: frame of kind {kind} with {length} bytes")
            payload = await self._receive(length)
            if payload is None:
                return
            if kind == _STATUS:
                self._status = int.from_bytes(payload)
                return
            yield payload

    async def _receive(self, count: int) -> bytes | None:
        """Return as many bytes; None if the connection ends before."""
        loop = asyncio.get_running_loop()
        parts = []
        while count:
            part = await loop.sock_recv(self._connection, count)
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def status(self) -> int:
        if self._status is None:
            raise CommandError("shell: the guest has closed the connection")
        # No program has another (man 2 _exit).
        return self._status & 0xFF
