# SPDX-License-Identifier: Apache-2.0
"""The calls of one connection that have a task, each from its start to its one end.

A call ends in its task, except where the task is cancelled before its first step: then
asyncio never enters the coroutine, and `cancel` ends the call in its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ttrpc.aio.call import Call, StreamCall
from ttrpc.begun import begin
from ttrpc.codes import Code
from ttrpc.errors import Closed, StatusError
from ttrpc.share import FREE, Share

if TYPE_CHECKING:
    from ttrpc.aio.cork import Cork
    from ttrpc.aio.serving import Serving
    from ttrpc.server_connection import ServerConnection

log = logging.getLogger(__name__)

DEADLINE_PASSED: Final = StatusError(
    Code.DEADLINE_EXCEEDED, "context deadline exceeded"
)
TOO_MANY: Final = StatusError(Code.RESOURCE_EXHAUSTED, "too many calls in flight")
TOO_LARGE: Final = StatusError(Code.RESOURCE_EXHAUSTED, "too much in flight")
UNREAD: Final = StatusError(Code.RESOURCE_EXHAUSTED, "too many answers left unread")


class CallsInFlight:
    """Starts calls within the limits, and counts them until they end."""

    __slots__ = (
        "_by_id",
        "_connection",
        "_cork",
        "_held",
        "_loop",
        "_serving",
        "on_end",
    )

    def __init__(
        self,
        serving: Serving,
        connection: ServerConnection,
        *,
        cork: Cork,
        held: Share,
    ) -> None:
        """Start with no calls; `held` counts the bytes of their requests."""
        self._serving = serving
        self._connection = connection
        self._cork = cork
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._by_id: dict[int, Call] = {}
        self.on_end: Callable[[], None] | None = None
        """Called after each end of a call."""

    def __len__(self) -> int:
        return len(self._by_id)

    def stream(self, stream_id: int) -> StreamCall:
        """Return the call of a stream that has not ended."""
        call = self._by_id[stream_id]
        assert isinstance(call, StreamCall)
        return call

    def start(
        self, call: Call, run: Callable[..., Any], proceed: Any, request: Any
    ) -> None:
        """Start the task of a call, or refuse a call that is over a limit."""
        serving = self._serving
        limits = serving.limits
        count = len(self._by_id)
        # A connection may have as many as are still free, and one in any case.
        if count >= limits.calls_per_connection or (
            count and count > limits.calls - serving.calls_in_flight
        ):
            self._refuse(call, TOO_MANY)
            return
        if call.size > FREE and not self._held.take(call.size):
            self._refuse(call, TOO_LARGE)
            return
        serving.calls_in_flight += 1
        self._by_id[call.context.stream_id] = call
        deadline = call.context.deadline
        if deadline is not None:
            call.timer = self._loop.call_at(deadline.at, self._expire, call)
        coroutine = run(call, proceed, request)
        if call.variables is not None:
            # Up to the wait of what has begun, so that a cancellation reaches that.
            coroutine = call.variables.run(begin, coroutine)
        # Not by the loop's task factory: an eager one would run the handler before the
        # call has its task, and inside of the batch of frames.
        call.task = asyncio.Task(coroutine, loop=self._loop, context=call.variables)
        self._cork.flush_after_tasks()

    def cancel(self, call: Call) -> None:
        """Cancel the task of a call that needs no answer of its handler any more."""
        assert call.task is not None
        call.task.cancel()
        if not call.entered:
            _close_awaitable(call)
            self.end(call)

    def end(self, call: Call) -> None:
        """Count a call no more; harmless if it has ended."""
        if self._by_id.pop(call.context.stream_id, None) is None:
            return
        if call.timer is not None:
            call.timer.cancel()
        if call.size > FREE:
            self._held.give_back(call.size)
        self._serving.calls_in_flight -= 1
        if self.on_end is not None:
            self.on_end()

    def end_all(self, reason: Closed) -> None:
        """Cancel every call, because the connection has ended."""
        for call in list(self._by_id.values()):
            if not call.answered:
                self._connection.counts.count_failure(Code.CANCELLED)
                call.answered = True
            if isinstance(call, StreamCall):
                call.inbox.fail(reason)
            self.cancel(call)

    def tasks(self) -> Iterator[asyncio.Task[None]]:
        """Give the tasks of the calls."""
        for call in self._by_id.values():
            if call.task is not None:
                yield call.task

    def _expire(self, call: Call) -> None:
        self._answer_early(call, DEADLINE_PASSED)
        self._cork.flush_soon()
        self.cancel(call)

    def _refuse(self, call: Call, error: StatusError) -> None:
        _close_awaitable(call)
        self._connection.counts.refused += 1
        self._answer_early(call, error)

    def _answer_early(self, call: Call, error: StatusError) -> None:
        """Answer in place of the handler, without waiting for it."""
        if isinstance(call, StreamCall):
            self._connection.fail(call.stream, error)
            call.inbox.fail(error)
        elif not call.answered:
            self._connection.send_error(call.context.stream_id, error)
        call.answered = True


def _close_awaitable(call: Call) -> None:
    """Close the coroutine that no task will await."""
    if call.awaitable is None:
        return
    if call.variables is None:
        call.awaitable.close()
        return
    try:
        # It has begun, so that it may clean up, and fail.
        call.variables.run(call.awaitable.close)
    except Exception:
        log.exception("handler failed")
