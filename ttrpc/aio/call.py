# SPDX-License-Identifier: Apache-2.0
"""A call in flight on the server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any

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
    """Whether the caller has an answer; a later one of the handler is dropped."""
    entered: bool = False
    """Whether the task has begun; one that is cancelled before never does."""
    awaitable: Coroutine[Any, Any, Any] | None = None
    """The coroutine that a plain handler returned and that the task awaits."""
    variables: Context | None = None
    """The context variables of a call that has begun without a task."""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    """Fires at the deadline."""


@dataclass(slots=True, eq=False, kw_only=True)
class StreamCall(Call):
    """A streaming call."""

    stream: Stream
    inbox: Inbox
