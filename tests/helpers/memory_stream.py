# SPDX-License-Identifier: Apache-2.0
"""A connection in memory, as a program may have one that is no socket."""

from __future__ import annotations

import asyncio
from collections import deque


class OneWay:
    """Bytes in one direction, with room for some pieces."""

    def __init__(self, piece: int, room: int) -> None:
        self.piece = piece
        self.room = room
        self.pieces: deque[bytes] = deque()
        self.changed = asyncio.Event()

    async def until(self, is_so: object) -> None:
        """Wait until `is_so()`."""
        assert callable(is_so)
        while not is_so():
            self.changed.clear()
            await self.changed.wait()

    def put(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.changed.set()

    def take(self) -> bytes:
        self.changed.set()
        return self.pieces.popleft()


class MemoryStream:
    """One end of a pair; it is a `ttrpc.aio.ByteStream`."""

    def __init__(self, incoming: OneWay, outgoing: OneWay) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._broken: Exception | None = None
        self.closed = 0
        """How often it was closed."""
        self.calls = 0
        """Calls under way."""
        self.most = 0
        """Bytes of the longest call of `send`."""

    async def receive(self) -> bytes:
        self.calls += 1
        try:
            await self._incoming.until(lambda: self._broken or self._incoming.pieces)
        finally:
            self.calls -= 1
        if self._broken is not None:
            raise self._broken
        return self._incoming.take()

    async def send(self, data: bytes) -> None:
        way = self._outgoing
        assert data
        self.most = max(self.most, len(data))
        self.calls += 1
        try:
            for start in range(0, len(data), way.piece):
                await way.until(lambda: self._broken or len(way.pieces) < way.room)
                if self._broken is not None:
                    raise self._broken
                way.put(data[start : start + way.piece])
        finally:
            self.calls -= 1

    def close(self) -> None:
        assert not self.calls
        self.closed += 1
        self._outgoing.put(b"")

    def fail(self, error: Exception) -> None:
        """Break this end."""
        self._broken = error
        self._incoming.changed.set()
        self._outgoing.changed.set()


def memory_pair(
    piece: int = 1 << 20, room: int = 8
) -> tuple[MemoryStream, MemoryStream]:
    """Return two ends; `piece` bytes at most arrive at once, and `room` pieces wait."""
    there, back = OneWay(piece, room), OneWay(piece, room)
    return MemoryStream(back, there), MemoryStream(there, back)
