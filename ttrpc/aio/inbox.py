# SPDX-License-Identifier: Apache-2.0
"""The messages of one stream that its reader has not taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ttrpc.aio.wakeup import Wakeup
from ttrpc.frame import Payload
from ttrpc.share import FREE, OVERHEAD, Share

BORROW_STEP: Final = 64 << 10
"""Bytes that are taken from the connection's share at a time, at least."""


class Inbox:
    """A bounded queue of messages with one reader, which is told of the end.

    FREE bytes fit without asking. For more, the inbox borrows from the share that all
    streams of the connection have together.
    """

    __slots__ = (
        "__weakref__",
        "_allowance",
        "_borrowed",
        "_is_awaited",
        "_limit",
        "_schedule",
        "_share",
        "_size",
        "_wakeup",
        "ended",
        "error",
        "messages",
        "on_end",
    )

    def __init__(
        self,
        limit: int,
        share: Share,
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        """Start empty.

        Args:
            limit: Bytes that may wait for the reader.
            share: The share from which the bytes above FREE are borrowed.
            schedule: Called with the callback that continues a reader that waits; once
                for all messages that arrive before that callback runs.
        """
        self._limit = limit
        self._share = share
        self._schedule = schedule
        self.messages: deque[Payload] = deque()
        self._size = 0
        """Bytes of `messages`, each with OVERHEAD."""
        self._allowance = min(limit, FREE)
        """Bytes that fit without borrowing more."""
        self._borrowed = 0
        """Bytes of `_allowance` that come from the share."""
        self._wakeup = Wakeup()
        self._is_awaited = False
        """Whether the reader waits and its wake-up has not been scheduled."""
        self.ended = False
        """Whether it takes no more messages."""
        self.error: Exception | None = None
        """The error that ended it, for the reader after the last message."""
        self.on_end: Callable[[Exception | None], None] | None = None
        """Called when it ends, with that error."""

    def put(self, payload: Payload) -> bool:
        """Add a message. Returns whether there was room for it."""
        size = self._size + len(payload) + OVERHEAD
        if size > self._allowance and not self._borrow(size):
            return False
        self.messages.append(payload)
        self._size = size
        if self._is_awaited:
            self._wake()
        return True

    def end(self, error: Exception | None = None) -> None:
        """Take no more messages. The reader learns of it after the last message."""
        if not self.ended:
            self._end(error)

    def fail(self, error: Exception) -> None:
        """Drop the messages and take no more; the reader sees `error` next."""
        self.messages.clear()
        self._size = 0
        self.release()
        if self.ended:
            self.error = error
        else:
            self._end(error)

    @property
    def has_borrowed(self) -> bool:
        """Whether messages that are unread count in the share."""
        return self._borrowed > 0

    def check(self) -> None:
        """Raise the error that ended the inbox, if one did."""
        if self.error is not None:
            raise self.error

    def has_ended(self) -> bool:
        """Whether no more messages come, where all have been taken.

        Raises the error that ended the inbox.
        """
        if not self.ended:
            return False
        self.release()
        self.check()
        return True

    def more(self) -> Wakeup:
        """Return the wake-up to await while there are no messages."""
        if self._borrowed:
            self.release()
        self._is_awaited = True
        return self._wakeup

    def take(self) -> Payload:
        """Remove and return the first of `messages`."""
        payload = self.messages.popleft()
        self._size -= len(payload) + OVERHEAD
        return payload

    def release(self) -> None:
        """Return the borrowed bytes; the messages left do not count any more."""
        if self._borrowed:
            self._share.give_back(self._borrowed)
            self._allowance -= self._borrowed
            self._borrowed = 0

    def __del__(self) -> None:
        # Of a stream that has ended, and whose reader leaves messages unread.
        self.release()

    def _borrow(self, size: int) -> bool:
        """Raise the allowance to `size` bytes. Returns whether that was possible."""
        if self._size > self._limit:
            return False
        missing = size - self._allowance
        more = max(missing, min(BORROW_STEP, self._limit - self._allowance))
        if not self._share.take(more):
            return False
        self._allowance += more
        self._borrowed += more
        return True

    def _end(self, error: Exception | None) -> None:
        self.ended = True
        self.error = error
        self._wake()
        if self.on_end is not None:
            self.on_end(error)

    def _wake(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._schedule(self._wakeup.wake)
