# SPDX-License-Identifier: Apache-2.0
"""A call in flight on the server."""

from __future__ import annotations

import asyncio

from ttrpc.aio.inbox import Inbox
from ttrpc.call_context import CallContext
from ttrpc.stream import Stream


class Call:
    """A call that has a task."""

    __slots__ = ("answered", "context", "size", "task", "timer")

    def __init__(self, context: CallContext, size: int) -> None:
        self.context = context
        self.size = size
        """Bytes of its request: the metadata, and the payload of a unary call."""
        self.answered = False
        """Whether the caller has an answer; a later one of the handler is dropped."""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        """Fires at the deadline."""


class StreamCall(Call):
    """A streaming call."""

    __slots__ = ("inbox", "stream")

    def __init__(
        self, context: CallContext, size: int, stream: Stream, inbox: Inbox
    ) -> None:
        super().__init__(context, size)
        self.stream = stream
        self.inbox = inbox
