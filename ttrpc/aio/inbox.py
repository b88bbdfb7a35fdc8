# SPDX-License-Identifier: Apache-2.0
"""Messages of one stream that have come and have not been taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ttrpc.aio.wakeup import Wakeup
from ttrpc.envelope import Payload
from ttrpc.quota import FREE, Share

OVERHEAD = 64
"""Bytes that a message counts for besides its own: empty ones take memory too."""
STEP = 64 << 10
"""Bytes, at least, that are taken from the connection's share at a time."""


class Inbox:
    """A bounded queue with one reader, and an end."""

    __slots__ = (
        "_ended",
        "_error",
        "_is_awaited",
        "_limit",
        "_room",
        "_schedule",
        "_share",
        "_size",
        "_taken",
        "_wakeup",
        "messages",
    )

    def __init__(
        self,
        limit: int,
        share: Share,
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Take the most bytes it may hold, and the share that it takes them from.

        `schedule` is to call what continues a reader that waits: once for all the
        messages that have come until then.
        """
        self._limit = limit
        self._share = share
        self._schedule = schedule
        self.messages: deque[Payload] = deque()
        self._size = 0
        self._room = min(limit, FREE)
        """Bytes that it may have without asking."""
        self._taken = 0
        """Bytes of the share in `_room`."""
        self._wakeup = Wakeup()
        self._is_awaited = False
        """The reader waits and has not been told of anything yet."""
        self._ended = False
        self._error: Exception | None = None

    def put(self, payload: Payload) -> bool:
        """Add a message; False when it does not fit."""
        size = self._size + len(payload) + OVERHEAD
        if size > self._room and not self._make_room(size):
            return False
        self.messages.append(payload)
        self._size = size
        if self._is_awaited:
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

    def has_ended(self) -> bool:
        """Whether nothing more comes. Raises what ended it, if an error did."""
        self.check()
        return self._ended

    def more(self) -> Wakeup:
        """What to await when there are no messages: some may have come then."""
        self.release()
        self._is_awaited = True
        return self._wakeup

    def take(self) -> Payload:
        """Return the first of `messages`."""
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
        more = max(size - self._room, min(STEP, self._limit - self._room))
        if not self._share.take(more):
            return False
        self._room += more
        self._taken += more
        return True

    def _wake(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._schedule(self._wakeup.wake)
