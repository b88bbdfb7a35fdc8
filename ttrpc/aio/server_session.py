# SPDX-License-Identifier: Apache-2.0
"""The server's work for one connection: from a request to its answer.

A handler that is a plain function runs where its request was received, and its
response leaves with the others of that turn. A coroutine gets a task, and so does
every call when there are interceptors. A call that waits costs that task and an
entry here, nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from ttrpc.aio.inbox import OVERHEAD, Inbox
from ttrpc.aio.server_stream import ServerStream
from ttrpc.aio.transport import Transport
from ttrpc.call_context import CallContext, Peer
from ttrpc.codes import Code
from ttrpc.deadline import Deadline
from ttrpc.envelope import Payload
from ttrpc.errors import Closed, StatusError, StreamFull
from ttrpc.metadata import Pairs
from ttrpc.quota import FREE, Share
from ttrpc.route import Route, awaited
from ttrpc.server_connection import ServerConnection
from ttrpc.stream import Stream

if TYPE_CHECKING:
    import socket

    from ttrpc.aio.server import Server

log = logging.getLogger(__name__)

LINGER = 0.05
"""Seconds between the last answer and the end of a connection: who waits for the
answer in Go's client may take the end, if that is there as well, for the lack of it."""

DEADLINE_PASSED = StatusError(Code.DEADLINE_EXCEEDED, "context deadline exceeded")
TOO_MANY = StatusError(Code.RESOURCE_EXHAUSTED, "too many calls in flight")
TOO_LARGE = StatusError(Code.RESOURCE_EXHAUSTED, "too much in flight")
UNREAD = StatusError(Code.RESOURCE_EXHAUSTED, "too many answers left unread")


class Call:
    """A call in flight that has a task."""

    __slots__ = ("answered", "context", "size", "stream", "task", "timer")

    def __init__(
        self, context: CallContext, stream: Stream | None, size: int = 0
    ) -> None:
        self.context = context
        self.stream = stream
        self.size = size
        """Bytes of its request: the metadata, and where it is unary, the payload."""
        self.answered = False
        """The caller has its answer; what the handler still does is not sent."""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None


class ServerSession:
    """One connection and its calls."""

    __slots__ = (
        "_calls",
        "_connection",
        "_draining",
        "_held",
        "_lingers",
        "_loop",
        "_server",
        "peer",
        "transport",
    )

    def __init__(self, server: Server, sock: socket.socket, peer: Peer) -> None:
        limits = server.limits
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, Call] = {}
        """Those that have a task, by stream id."""
        self._draining = False
        self._lingers = False
        self.peer = peer
        self._held = Share(server.held, limits.held_per_connection)
        self._connection = ServerConnection(server.routes, self, limit=limits.message)
        self.transport = Transport(
            sock,
            outbox=self._connection.outbox,
            receive_frame=self._connection.receive_frame,
            lost=self._lost,
            unread=Share(server.unread, limits.queued_per_connection),
            message_limit=limits.message,
            holds_back=True,
        )

    # Unary calls.

    def call_received(
        self,
        stream_id: int,
        route: Route,
        payload: Payload,
        timeout_nano: int,
        metadata: Pairs,
    ) -> None:
        connection = self._connection
        if self._draining or timeout_nano < 0:
            connection.send_error(stream_id, self._refusal(timeout_nano))
            return
        try:
            request = route.decode(payload)
        except DecodeError as exc:
            connection.send_error(stream_id, _bad_payload(exc))
            return
        deadline = None
        if timeout_nano:
            deadline = Deadline.from_timeout_nano(timeout_nano, now=self._loop.time())
        context = CallContext(
            route.method,
            stream_id,
            deadline=deadline,
            peer=self.peer,
            metadata=metadata,
        )
        inline = route.inline
        if inline is None:
            call = Call(context, None, len(payload) + _size(metadata))
            self._start(call, self._run_unary, route.proceed, request)
            return
        try:
            response = inline(request, context)
            if type(response) is route.response_type:
                answer = response.SerializeToString()
            else:
                answer = None
        except Exception as exc:
            connection.send_error(stream_id, self._to_status(exc, context))
            return
        if answer is not None:
            connection.send_response(stream_id, answer)
        else:
            call = Call(context, None, len(payload) + _size(metadata))
            started = self._start(call, self._run_unary, awaited, response)
            if not started and inspect.iscoroutine(response):
                response.close()

    async def _run_unary(self, call: Call, proceed: Any, request: Any) -> None:
        context = call.context
        error: BaseException | None = None
        answer = b""
        try:
            response = await proceed(request, context)
            answer = _serialized(response, context)
        except asyncio.CancelledError as exc:
            error = exc
        except Exception as exc:
            error = exc
        if not call.answered:
            self._answer_unary(call, answer, error)
        self._ended(call)

    def _answer_unary(
        self, call: Call, answer: bytes, error: BaseException | None
    ) -> None:
        connection = self._connection
        context = call.context
        if self.transport.is_overfull:
            connection.send_error(context.stream_id, UNREAD)
        elif error is None:
            connection.send_response(context.stream_id, answer)
        else:
            status = self._to_status(error, context)
            connection.send_error(context.stream_id, status)
        call.answered = True
        self.transport.flush_soon()

    # Streaming calls.

    def stream_opened(
        self, stream: Stream, route: Route, timeout_nano: int, metadata: Pairs
    ) -> None:
        if self._draining or timeout_nano < 0:
            self._connection.fail(stream, self._refusal(timeout_nano))
            return
        deadline = Deadline.from_timeout_nano(timeout_nano, now=self._loop.time())
        context = CallContext(
            route.method,
            stream.stream_id,
            deadline=deadline,
            peer=self.peer,
            metadata=metadata,
        )
        transport = self.transport
        inbox = stream.inbox = Inbox(
            self._server.limits.stream_inbox, self._held, transport.after_frames
        )
        handle: ServerStream[Any, Any] = ServerStream(
            stream, inbox, connection=self._connection, transport=transport
        )
        call = Call(context, stream, _size(metadata))
        self._start(call, self._run_stream, route.proceed, handle)

    def message_received(self, stream: Stream, payload: Payload) -> None:
        if not stream.inbox.put(payload):
            full = "data handling error: ttrpc: stream buffer full"
            self._connection.fail(stream, StatusError(Code.INVALID_ARGUMENT, full))
            self.stream_failed(
                stream, StreamFull(f"stream {stream.stream_id}: its reader is too slow")
            )

    def remote_closed(self, stream: Stream) -> None:
        stream.inbox.end()

    def stream_failed(self, stream: Stream, error: Exception) -> None:
        stream.inbox.fail(error)
        # A handler that waits for something else would stay until the connection
        # ends, and nobody hears it any more.
        call = self._calls.get(stream.stream_id)
        if call is not None and call.task is not None:
            call.task.cancel()

    async def _run_stream(
        self, call: Call, proceed: Any, handle: ServerStream[Any, Any]
    ) -> None:
        stream = call.stream
        assert stream is not None
        context = call.context
        error: BaseException | None = None
        answer: bytes | None = None
        try:
            response = await proceed(handle, context)
            if not context.method.cardinality.server_streaming:
                answer = _serialized(response, context)
        except asyncio.CancelledError as exc:
            error = exc
        except Exception as exc:
            error = exc
        if not stream.is_closed:
            self._end_stream(stream, context, answer, error)
        handle.close()
        self.transport.wake()
        self._ended(call)

    def _end_stream(
        self,
        stream: Stream,
        context: CallContext,
        answer: bytes | None,
        error: BaseException | None,
    ) -> None:
        connection = self._connection
        if self.transport.is_overfull and (answer is not None or error is not None):
            connection.fail(stream, UNREAD)
        elif error is None:
            connection.finish(stream, answer)
        else:
            connection.fail(stream, self._to_status(error, context))
        self.transport.flush_soon()

    # Calls in flight.

    def _start(
        self, call: Call, run: Callable[..., Any], proceed: Any, request: Any
    ) -> bool:
        """Give a call its task; one that is over a limit is refused."""
        server = self._server
        limits = server.limits
        if (
            len(self._calls) >= limits.calls_per_connection
            or server.calls_in_flight >= limits.calls
        ):
            self._answer_early(call, TOO_MANY)
            return False
        if call.size > FREE and not self._held.take(call.size):
            self._answer_early(call, TOO_LARGE)
            return False
        server.calls_in_flight += 1
        self._calls[call.context.stream_id] = call
        call.task = self._loop.create_task(run(call, proceed, request))
        self.transport.flush_after_tasks()
        deadline = call.context.deadline
        if deadline is not None:
            call.timer = self._loop.call_at(deadline.at, self._expire, call)
        return True

    def _expire(self, call: Call) -> None:
        assert call.task is not None
        self._answer_early(call, DEADLINE_PASSED)
        self.transport.flush_soon()
        call.task.cancel()

    def _answer_early(self, call: Call, error: StatusError) -> None:
        """Answer before the handler has; it is not waited for."""
        if call.stream is not None:
            self._connection.fail(call.stream, error)
            call.stream.inbox.fail(error)
        elif not call.answered:
            self._connection.send_error(call.context.stream_id, error)
        call.answered = True

    def _ended(self, call: Call) -> None:
        if call.timer is not None:
            call.timer.cancel()
        if call.size > FREE:
            self._held.give_back(call.size)
        del self._calls[call.context.stream_id]
        self._server.calls_in_flight -= 1
        if self._draining:
            self._close_if_drained()

    def _refusal(self, timeout_nano: int) -> StatusError:
        if self._draining:
            return StatusError(Code.UNAVAILABLE, "ttrpc: server closed")
        return DEADLINE_PASSED

    def _to_status(self, error: BaseException, context: CallContext) -> StatusError:
        if isinstance(error, asyncio.CancelledError):
            return StatusError(Code.CANCELLED, "context canceled")
        try:
            status = self._server.status_of(error)
        except Exception:
            log.exception("an error without a status: its mapping failed")
            status = StatusError(Code.UNKNOWN, type(error).__name__)
        if status.code == Code.OK:
            # On the wire it would be a success with an empty response.
            status = StatusError(Code.UNKNOWN, status.message, status.details)
        if status.code in (Code.UNKNOWN, Code.INTERNAL) and not isinstance(
            error, StatusError
        ):
            log.error(
                "handler failed",
                exc_info=error,
                extra={"method": context.method.full_method},
            )
        return status

    # The end.

    def drain(self) -> None:
        """Take no new calls, and close when those in flight have been answered."""
        self._draining = True
        self.transport.on_empty = self._close_if_drained
        self._close_if_drained()

    @property
    def is_drained(self) -> bool:
        """Whether every call has been answered, and the answers have left."""
        return not self._calls and self.transport.is_flushed

    def _close_if_drained(self) -> None:
        if self.is_drained and not self._lingers:
            self._lingers = True
            close = self.transport.close
            self._loop.call_later(LINGER, close, "the server shut down")

    def _lost(self, reason: Closed) -> None:
        self._connection.end_all()
        for call in self._calls.values():
            call.answered = True
            if call.stream is not None:
                call.stream.inbox.fail(reason)
            if call.task is not None:
                call.task.cancel()
        self._server.session_ended(self)

    async def wait_closed(self) -> None:
        """Wait until no handler runs any more."""
        calls = self._calls.values()
        tasks = [call.task for call in calls if call.task is not None]
        if tasks:
            await asyncio.wait(tasks)


def _size(metadata: Pairs) -> int:
    return sum(len(key) + len(value) + OVERHEAD for key, value in metadata)


def _serialized(response: object, context: CallContext) -> bytes:
    """Return what a handler returned as bytes, or raise that it is no response."""
    if isinstance(response, context.method.response_type):
        serialized: bytes = response.SerializeToString()
        return serialized
    kind = "nothing" if response is None else type(response).__name__
    raise TypeError(f"handler returned {kind}, not its method's response")


def _bad_payload(exc: DecodeError) -> StatusError:
    return StatusError(Code.INTERNAL, f"ttrpc: error unmarshalling payload: {exc}")
