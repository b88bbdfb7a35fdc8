# SPDX-License-Identifier: Apache-2.0
"""Messages of one stream that have come and have not been taken."""

from __future__ import annotations

import asyncio
from collections import deque

from ttrpc.quota import FREE, Share

OVERHEAD = 64
"""Bytes that a message counts for besides its own: empty ones take memory too."""
STEP = 64 << 10
"""Bytes that are taken from the connection's share at a time."""


class Inbox:
    """A bounded queue with one reader, and an end."""

    __slots__ = (
        "_ended",
        "_error",
        "_limit",
        "_room",
        "_share",
        "_size",
        "_taken",
        "_waiter",
        "messages",
    )

    def __init__(self, limit: int, share: Share) -> None:
        """Take the most bytes it may hold, and the share that it takes them from."""
        self._limit = limit
        self._share = share
        self.messages: deque[bytes] = deque()
        self._size = 0
        self._room = min(limit, FREE)
        """Bytes that it may have without asking."""
        self._taken = 0
        """Bytes of the share in `_room`."""
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def put(self, payload: bytes) -> bool:
        """Add a message; False when it does not fit."""
        size = self._size + len(payload) + OVERHEAD
        if size > self._room and not self._make_room(size):
            return False
        self.messages.append(payload)
        self._size = size
        if self._waiter is not None:
            self._wake()
        return True

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; the reader is told when it has taken the rest."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    def fail(self, error: Exception) -> None:
        """Nothing more comes, and what has come is dropped."""
        self.messages.clear()
        self._size = 0
        self.release()
        self._ended = True
        self._error = error
        self._wake()

    def check(self) -> None:
        """Raise what ended it, if an error did."""
        if self._error is not None:
            raise self._error

    async def get(self) -> bytes | None:
        """Return the next message, None at the end. Raises what ended it."""
        while not self.messages:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self.release()
            if self._waiter is not None:
                raise RuntimeError("stream: two tasks receive at once")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()

    def take(self) -> bytes:
        """Return the first of `messages`: without `get`'s coroutine."""
        payload = self.messages.popleft()
        self._size -= len(payload) + OVERHEAD
        return payload

    def release(self) -> None:
        """Give back what it has of the share. What it holds is not counted then."""
        if self._taken:
            self._share.give_back(self._taken)
            self._room -= self._taken
            self._taken = 0

    def _make_room(self, size: int) -> bool:
        if self._size > self._limit:
            return False
        more = max(min(size + STEP, self._limit), size) - self._room
        if not self._share.take(more):
            return False
        self._room += more
        self._taken += more
        return True

    def _wake(self) -> None:
        # Once: many messages may come before the reader runs.
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
