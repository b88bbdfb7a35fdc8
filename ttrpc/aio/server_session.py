# SPDX-License-Identifier: Apache-2.0
"""The server's work for one connection: runs handlers and sends their answers.

A handler that is a plain function is called when its request is received, and its
response leaves with the others of that turn; so do eager interceptors around it, up to
the first wait. A coroutine gets a task, and so does every call with other interceptors.
A call that waits costs only that task and a `Call`.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from ttrpc.aio.call import Call, StreamCall
from ttrpc.aio.calls_in_flight import DEADLINE_PASSED, UNREAD, CallsInFlight
from ttrpc.aio.cork import FLUSH_SIZE
from ttrpc.aio.inbox import Inbox
from ttrpc.aio.outcome import outcome_of
from ttrpc.aio.server_stream import ServerStream
from ttrpc.aio.serving import Serving
from ttrpc.aio.transport import Transport
from ttrpc.begun import Begun
from ttrpc.call_context import CallContext, Peer
from ttrpc.codes import Code
from ttrpc.deadline import Deadline
from ttrpc.errors import EXITS, Closed, StatusError, StreamFull
from ttrpc.frame import Payload
from ttrpc.metadata import Pairs
from ttrpc.routes import Route, awaited
from ttrpc.server_connection import ServerConnection
from ttrpc.share import OVERHEAD, Share
from ttrpc.stream import Stream

if TYPE_CHECKING:
    from ttrpc.aio.stream_socket import StreamSocket

LINGER: Final = 0.05
"""Seconds to wait between the last response and closing. Go's client may report the
close instead of a response that arrived with it."""


class ServerSession:
    """One connection and its calls."""

    __slots__ = (
        "_calls",
        "_connection",
        "_cork",
        "_draining",
        "_ended",
        "_held",
        "_lingers",
        "_loop",
        "_serving",
        "cut_off",
        "peer",
        "transport",
    )

    def __init__(
        self,
        serving: Serving,
        sock: socket.socket | StreamSocket,
        peer: Peer,
        *,
        ended: Callable[[ServerSession], None],
    ) -> None:
        """Serve a connected, nonblocking socket.

        `ended` is called once when the connection has ended. Handlers may still run
        then: `wait_closed` waits for them.
        """
        limits = serving.limits
        self._serving = serving
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._draining = False
        self._lingers = False
        self.peer = peer
        self.cut_off = False
        """Whether this side has ended the connection before all calls were answered."""
        self._held = Share(serving.held, limits.held_per_connection)
        self._connection = ServerConnection(
            serving.routes, self, limit=limits.message, counts=serving.counts
        )
        self.transport = Transport(
            sock,
            outbox=self._connection.outbox,
            receive_frame=self._connection.receive_frame,
            lost=self._connection_ended,
            unread=Share(serving.unread, limits.queued_per_connection),
            held=self._held,
            message_limit=limits.message,
            holds_back=True,
        )
        self._cork = self.transport.cork
        self._calls = CallsInFlight(
            serving, self._connection, cork=self._cork, held=self._held
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
            connection.refuse(stream_id, self._refusal())
            return
        try:
            request = route.decode(payload)
        except DecodeError as exc:
            connection.refuse(stream_id, _bad_payload(exc))
            return
        deadline = None
        if timeout_nano:
            deadline = Deadline.from_timeout_nano(timeout_nano, clock=self._loop.time)
        # By position: to match names takes 4 % of the whole call.
        context = CallContext(route.method, stream_id, deadline, self.peer, metadata)
        size = len(payload) + _size(metadata) if metadata else len(payload)
        if route.inline is None:
            call = Call(context, size)
            self._calls.start(call, self._run_unary, route.proceed, request)
            return
        # Of its own, as a task has one: variables that a handler sets must not be seen
        # by the next call.
        variables = copy_context()
        try:
            response = variables.run(route.inline, request, context)
            # Nearly all are of exactly this type; the checks of the others take longer.
            is_plain = type(response) is route.response_type
            answer = response.SerializeToString() if is_plain else b""
        except BaseException as exc:
            connection.send_error(stream_id, self._to_status(exc, context))
            self._raise_exit(exc)
            return
        if len(answer) > FLUSH_SIZE and not self.transport.has_room_for(len(answer)):
            connection.send_error(stream_id, UNREAD)
        elif is_plain:
            connection.send_response(stream_id, answer)
        else:
            self._await_response(Call(context, size), response, variables)

    def _await_response(self, call: Call, response: Any, variables: Context) -> None:
        """Start a task for a plain function's response that may be awaitable."""
        if isinstance(response, Begun):
            call.awaitable, call.variables = response, variables
        elif inspect.iscoroutine(response):
            call.awaitable = response
        self._calls.start(call, self._run_unary, awaited, response)

    async def _run_unary(self, call: Call, proceed: Any, request: Any) -> None:
        call.entered = True
        context = call.context
        error: BaseException | None = None
        answer = b""
        try:
            response = await proceed(request, context)
            answer = _serialized(response, context)
        except BaseException as exc:
            if self._loop.is_closed():
                raise  # Python closes the coroutine; no one is left to answer.
            error = exc
        if not call.answered:
            self._answer_unary(call, answer, error)
        self._calls.end(call)
        self._raise_exit(error)

    def _answer_unary(
        self, call: Call, answer: bytes, error: BaseException | None
    ) -> None:
        connection = self._connection
        context = call.context
        if not self.transport.has_room_for(len(answer)):
            connection.send_error(context.stream_id, UNREAD)
        elif error is None:
            connection.send_response(context.stream_id, answer)
        else:
            status = self._to_status(error, context)
            connection.send_error(context.stream_id, status)
        call.answered = True
        self._cork.flush_soon()

    # Streaming calls.

    def stream_opened(
        self, stream: Stream, route: Route, timeout_nano: int, metadata: Pairs
    ) -> None:
        if self._draining or timeout_nano < 0:
            self._connection.refuse(stream.stream_id, self._refusal())
            return
        deadline = Deadline.from_timeout_nano(timeout_nano, clock=self._loop.time)
        context = CallContext(
            route.method,
            stream.stream_id,
            deadline=deadline,
            peer=self.peer,
            metadata=metadata,
        )
        transport = self.transport
        inbox = Inbox(
            self._serving.limits.stream_inbox, self._held, self._cork.after_frames
        )
        handle: ServerStream[Any, Any] = ServerStream(
            stream, inbox, connection=self._connection, transport=transport
        )
        call = StreamCall(context, _size(metadata), stream=stream, inbox=inbox)
        self._calls.start(call, self._run_stream, route.proceed, handle)

    def message_received(self, stream: Stream, payload: Payload) -> None:
        if not self._calls.stream(stream.stream_id).inbox.put(payload):
            full = "data handling error: ttrpc: stream buffer full"
            self._connection.fail(stream, StatusError(Code.INVALID_ARGUMENT, full))
            self.stream_failed(
                stream, StreamFull(f"stream {stream.stream_id}: its reader is too slow")
            )

    def remote_closed(self, stream: Stream) -> None:
        self._calls.stream(stream.stream_id).inbox.end()

    def stream_failed(self, stream: Stream, error: Exception) -> None:
        call = self._calls.stream(stream.stream_id)
        call.answered = True
        call.inbox.fail(error)
        # A handler that waits for something other than a message would run on until
        # the connection ends, although its answer can no longer be sent.
        self._calls.cancel(call)

    async def _run_stream(
        self, call: StreamCall, proceed: Any, handle: ServerStream[Any, Any]
    ) -> None:
        call.entered = True
        stream = call.stream
        context = call.context
        error: BaseException | None = None
        answer: bytes | None = None
        try:
            response = await proceed(handle, context)
            if not context.method.cardinality.server_streaming:
                answer = _serialized(response, context)
            elif response is not None and context.method.is_raw:
                answer = _serialized(response, context)
            elif response is not None:
                raise _wrong_result(response, "None, because the server streams")
        except BaseException as exc:
            if self._loop.is_closed():
                raise  # Python closes the coroutine; no one is left to answer.
            error = exc
        call.answered = True
        if not stream.is_closed:
            self._end_stream(stream, context, answer, error)
        try:
            handle.close(error)
        except EXITS as exc:
            error = exc  # Of a watcher.
        self.transport.wake()
        self._calls.end(call)
        self._raise_exit(error)

    def _end_stream(
        self,
        stream: Stream,
        context: CallContext,
        answer: bytes | None,
        error: BaseException | None,
    ) -> None:
        connection = self._connection
        ends_by_response = answer is not None or error is not None
        if ends_by_response and not self.transport.has_room_for(len(answer or b"")):
            connection.fail(stream, UNREAD)
        elif error is None:
            connection.finish(stream, answer)
        else:
            connection.fail(stream, self._to_status(error, context))
        self._cork.flush_soon()

    def _raise_exit(self, error: BaseException | None) -> None:
        """Let an error end the program if it is one that does."""
        if isinstance(error, EXITS):
            self._end_program(error)

    def _end_program(self, error: BaseException) -> None:
        """Raise an error from the loop, where it ends the program.

        Not here: the caller has no answer yet, and frames behind the call's own may
        wait, for which the connection would have to be closed.
        """
        self._loop.call_soon(self._flush_and_raise, error)

    def _flush_and_raise(self, error: BaseException) -> None:
        self._cork.flush()
        raise error

    def _refusal(self) -> StatusError:
        """Return the error of a call that is refused: closing, or a past deadline."""
        if self._draining:
            return StatusError(Code.UNAVAILABLE, "ttrpc: server closed")
        return DEADLINE_PASSED

    def _to_status(self, error: BaseException, context: CallContext) -> StatusError:
        return outcome_of(error, context, self._serving.status_of, self._end_program)

    # The end.

    def drain(self) -> None:
        """Refuse new calls, and close when those in flight have been answered."""
        self._draining = True
        self.transport.on_empty = self._close_if_drained
        self._calls.on_end = self._close_if_drained
        self._close_if_drained()

    @property
    def is_drained(self) -> bool:
        """Whether every call has been answered and the answers have been written."""
        return not self._calls and self.transport.is_flushed

    def _close_if_drained(self) -> None:
        if self.is_drained and not self._lingers:
            self._lingers = True
            close = self.transport.close
            self._loop.call_later(LINGER, close, "the server shut down")

    def close(self, reason: str) -> None:
        """End the connection now; harmless if it has ended."""
        if self.transport.closed is None:
            self.cut_off = not self.is_drained
            self.transport.close(reason)

    @property
    def progress(self) -> object:
        """A value that changes with all that the peer does; None while it may wait.

        It may wait while calls of it are in flight, but never within a frame.
        """
        transport = self.transport
        if transport.is_within_frame:
            return transport.frames
        return None if self._calls else (transport.frames, transport.sent)

    @property
    def calls_in_flight(self) -> int:
        """Number of calls that have a task."""
        return len(self._calls)

    def _connection_ended(self, reason: Closed) -> None:
        self._connection.end_all()
        self._calls.end_all(reason)
        serving = self._serving
        serving.bytes_received += self.transport.received
        serving.bytes_sent += self.transport.sent
        self._ended(self)

    async def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until no handler of this connection runs, or for `timeout` seconds."""
        if tasks := list(self._calls.tasks()):
            await asyncio.wait(tasks, timeout=timeout)


def _size(metadata: Pairs) -> int:
    return sum(len(key) + len(value) + OVERHEAD for key, value in metadata)


def _serialized(response: object, context: CallContext) -> bytes:
    """Serialize the response that a handler returned.

    Raises:
        TypeError: `response` is not of the method's response type.
    """
    if isinstance(response, context.method.response_type):
        serialized: bytes = response.SerializeToString()
        return serialized
    raise _wrong_result(response, "its method's response")


def _wrong_result(result: object, expected: str) -> TypeError:
    kind = "nothing" if result is None else type(result).__name__
    return TypeError(f"handler or interceptor returned {kind}, not {expected}")


def _bad_payload(exc: DecodeError) -> StatusError:
    return StatusError(Code.INTERNAL, f"ttrpc: error unmarshalling payload: {exc}")
