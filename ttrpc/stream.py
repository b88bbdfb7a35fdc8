# SPDX-License-Identifier: Apache-2.0
"""The state of one stream: which of its two directions are open.

Each side closes its own direction once. A stream has ended when both directions are
closed, or when a Response or a failure has ended it. The table below has every
transition, and only `Stream.advance` assigns the state.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ttrpc.service import Method


class StreamState(enum.Enum):
    """The directions that are open."""

    OPEN = enum.auto()
    LOCAL_CLOSED = enum.auto()
    """This side sends no more."""
    REMOTE_CLOSED = enum.auto()
    """The peer sends no more."""
    CLOSED = enum.auto()


class StreamEvent(enum.Enum):
    """The events that close a direction, or both."""

    LOCAL_CLOSE = enum.auto()
    REMOTE_CLOSE = enum.auto()
    END = enum.auto()
    """A Response, a failure or the end of the connection."""


TRANSITIONS: Final = {
    (StreamState.OPEN, StreamEvent.LOCAL_CLOSE): StreamState.LOCAL_CLOSED,
    (StreamState.OPEN, StreamEvent.REMOTE_CLOSE): StreamState.REMOTE_CLOSED,
    (StreamState.OPEN, StreamEvent.END): StreamState.CLOSED,
    (StreamState.LOCAL_CLOSED, StreamEvent.REMOTE_CLOSE): StreamState.CLOSED,
    (StreamState.LOCAL_CLOSED, StreamEvent.END): StreamState.CLOSED,
    (StreamState.REMOTE_CLOSED, StreamEvent.LOCAL_CLOSE): StreamState.CLOSED,
    (StreamState.REMOTE_CLOSED, StreamEvent.END): StreamState.CLOSED,
}
"""A pair that is not in the table changes nothing: closing twice is harmless."""


class Stream:
    """One streaming call, on either side."""

    __slots__ = ("answer", "can_receive", "can_send", "method", "state", "stream_id")

    def __init__(self, stream_id: int, method: Method[Any, Any]) -> None:
        self.stream_id = stream_id
        """The id on its connection."""
        self.method = method
        """The method that was called."""
        self.state = StreamState.OPEN
        """The directions that are open."""
        self.can_send = True
        """Whether this side's direction is open."""
        self.can_receive = True
        """Whether the peer's direction is open."""
        self.answer: bytes | None = None
        """On a client: the response that ended the stream of a raw method whose server
        might have streamed."""

    def advance(self, event: StreamEvent) -> None:
        """Take the transition of `event`."""
        self.state = TRANSITIONS.get((self.state, event), self.state)
        self.can_send = self.state in (StreamState.OPEN, StreamState.REMOTE_CLOSED)
        self.can_receive = self.state in (StreamState.OPEN, StreamState.LOCAL_CLOSED)

    @property
    def is_closed(self) -> bool:
        """Whether the stream has ended."""
        return self.state is StreamState.CLOSED
