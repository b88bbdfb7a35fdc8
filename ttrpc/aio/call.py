# SPDX-License-Identifier: Apache-2.0
"""A call in flight on the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ttrpc.aio.inbox import Inbox
from ttrpc.call_context import CallContext
from ttrpc.stream import Stream


@dataclass(slots=True, eq=False)
class Call:
    """A call that has a task."""

    context: CallContext
    size: int
    """Bytes of the request: the metadata, and the payload of a unary call."""
    answered: bool = False
    """Whether the caller has an answer; a later answer of the handler is dropped."""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    """Fires at the deadline."""


@dataclass(slots=True, eq=False, kw_only=True)
class StreamCall(Call):
    """A streaming call."""

    stream: Stream
    inbox: Inbox
