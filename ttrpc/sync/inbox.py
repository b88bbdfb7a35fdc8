# SPDX-License-Identifier: Apache-2.0
"""The messages of one stream that its reader has not taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ttrpc.frame import Payload
from ttrpc.share import OVERHEAD


class Inbox:
    """A queue of messages and its end."""

    __slots__ = ("__weakref__", "_messages", "ended", "error", "on_end", "size")

    def __init__(self) -> None:
        self._messages: deque[Payload] = deque()
        self.size = 0
        """Bytes of the messages, each with OVERHEAD."""
        self.ended = False
        self.error: Exception | None = None
        """The error that ended the inbox, for the reader after the last message."""
        self.on_end: Callable[[Exception | None], None] | None = None
        """Called when the inbox ends, with that error."""

    def put(self, payload: Payload) -> None:
        """Add a message."""
        self._messages.append(payload)
        self.size += len(payload) + OVERHEAD

    def take(self) -> Payload | None:
        """Remove and return the first message, or None if there is none.

        Raises the error that ended the inbox when no message is left.
        """
        if self._messages:
            payload = self._messages.popleft()
            self.size -= len(payload) + OVERHEAD
            return payload
        self.check()
        return None

    def check(self) -> None:
        """Raise the error that ended the inbox, if one did."""
        if self.error is not None:
            raise self.error

    def end(self, error: Exception | None = None) -> None:
        """Take no more messages. The reader learns of it after the last message."""
        if not self.ended:
            self.ended = True
            self.error = error
            if self.on_end is not None:
                self.on_end(error)

    def clear(self) -> None:
        """Drop the messages."""
        self._messages.clear()
        self.size = 0

    def __len__(self) -> int:
        return len(self._messages)
