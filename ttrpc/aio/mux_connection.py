# SPDX-License-Identifier: Apache-2.0
"""One of the connections that a mux carries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

INBOX_SIZE: Final = 256 << 10
"""Bytes that wait to be received, from which the whole trunk waits."""


class MuxConnection:
    """A `ByteStream` to the connection of the same number on the other side."""

    __slots__ = ("_changed", "_closed", "_error", "_inbox", "_send", "_size", "is_open")

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], closed: Callable[[], None]
    ) -> None:
        self._send = send
        self._closed = closed
        self._inbox: list[bytes] = []
        self._size = 0
        self._changed: asyncio.Future[None] | None = None
        """What the side waits for that cannot go on: the one that puts, or takes."""
        self._error: Exception | None = None
        self.is_open = True
        """Whether bytes may still come."""

    async def receive(self) -> bytes:
        while not self._inbox:
            if self._error is not None:
                raise self._error
            if not self.is_open:
                return b""
            await self._change()
        data = b"".join(self._inbox)
        self._inbox.clear()
        self._size = 0
        self._wake()
        return data

    async def send(self, data: bytes) -> None:
        await self._send(data)

    def close(self) -> None:
        self.end()
        self._closed()

    # For the mux.

    async def put(self, data: bytes) -> None:
        """Hand on bytes that have come, and wait while too many are left."""
        self._inbox.append(data)
        self._size += len(data)
        self._wake()
        while self._size >= INBOX_SIZE and self.is_open:
            await self._change()

    def end(self, error: Exception | None = None) -> None:
        """Nothing comes any more; the receiver is told so after the last bytes."""
        self.is_open = False
        self._error = self._error or error
        self._wake()

    async def _change(self) -> None:
        # Only one side can be unable to go on.
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
