# SPDX-License-Identifier: Apache-2.0
"""The server's side of one connection: the rules, without a socket or a clock.

Frames go in through `receive_frame`, which calls the methods of `ServerEvents` and puts
refusals into the outbox. The `send_*` methods put their frames there too. No method
raises because of the peer: its mistakes are answered on their stream, with Go's codes
and texts. `docs/ttrpc/sansio.md` describes how an I/O layer drives this class.
"""

from __future__ import annotations

from typing import Final, Protocol

from ttrpc.call_counts import CallCounts
from ttrpc.codes import Code
from ttrpc.envelope import encode_error, response_head
from ttrpc.errors import OversizedMessage, StatusError, StreamClosed, sanitize
from ttrpc.frame import (
    DATA,
    MESSAGE_LIMIT,
    NO_DATA,
    REMOTE_CLOSED,
    REQUEST,
    RESPONSE,
    Oversized,
    Payload,
    ReceivedFrame,
)
from ttrpc.metadata import Pairs
from ttrpc.outbox import Outbox
from ttrpc.request_decoder import UnknownMethod
from ttrpc.routes import Route, Routes
from ttrpc.stream import Stream, StreamEvent

EVEN_ID: Final = "StreamID must be odd for client initiated streams"
USED_ID: Final = "StreamID cannot be re-used and must increment"
NO_ROOM: Final = "too much in flight"
INACTIVE_ID: Final = "StreamID is no longer active"
STREAM_CLOSED: Final = "data handling error: ttrpc: stream closed"


class ServerEvents(Protocol):
    """The methods that a connection calls; each I/O layer and test has its own."""

    def call_received(
        self,
        stream_id: int,
        route: Route,
        payload: Payload,
        timeout_nano: int,
        metadata: Pairs,
    ) -> None:
        """A unary call was received. Answer by `send_response` or `send_error`."""

    def stream_opened(
        self, stream: Stream, route: Route, timeout_nano: int, metadata: Pairs
    ) -> None:
        """A streaming call was received. End it by `finish` or `fail`."""

    def message_received(self, stream: Stream, payload: Payload) -> None:
        """The next message of a stream was received."""

    def remote_closed(self, stream: Stream) -> None:
        """The client sends no more on this stream."""

    def stream_failed(self, stream: Stream, error: Exception) -> None:
        """The connection has ended the stream and sent `error` to the client."""


class ServerConnection:
    """Streams and their ids, as the server sees them."""

    __slots__ = (
        "_decode",
        "_events",
        "_last_id",
        "_limit",
        "_routes",
        "counts",
        "outbox",
        "streams",
    )

    def __init__(
        self,
        routes: Routes,
        events: ServerEvents,
        *,
        limit: int = MESSAGE_LIMIT,
        counts: CallCounts | None = None,
    ) -> None:
        """Start with no streams.

        Args:
            limit: Bytes of payload in a frame.
            counts: Counts the calls; connections may share it.
        """
        self._routes = routes
        self._decode = routes.decode
        self._events = events
        self._limit = limit
        self._last_id = 0
        self.streams: dict[int, Stream] = {}
        """The streaming calls that have not ended."""
        self.outbox = Outbox()
        """The frames to write."""
        self.counts = counts or CallCounts()
        """The calls so far."""

    # Receiving.

    def receive_frame(self, frame: ReceivedFrame) -> None:
        """Deal with one frame. Raises only errors of the event methods."""
        # Faster than isinstance, on the way of every frame.
        if type(frame) is Oversized:
            self._receive_oversized(frame)
            return
        stream_id, message_type, flags, payload = frame
        if message_type == DATA:
            stream = self.streams.get(stream_id)
            if stream is not None and stream.can_receive and not flags:
                # The shortest way for a plain message, as nearly all frames are.
                self._events.message_received(stream, payload)
            else:
                self._receive_data(stream_id, flags, payload)
        elif message_type == REQUEST:
            if stream_id > self._last_id and stream_id & 1:
                self._last_id = stream_id
                self._receive_request(stream_id, flags, payload)
            else:
                self._refuse_frame(stream_id, USED_ID if stream_id & 1 else EVEN_ID)
        elif not stream_id & 1:
            # Some clients send ten zero bytes as a ping: stream 0, type 0.
            self._refuse_frame(stream_id, EVEN_ID)
        # Other types are ignored, as every known server does.

    def _receive_request(self, stream_id: int, flags: int, body: Payload) -> None:
        self.counts.started += 1
        try:
            route, payload, timeout_nano, metadata = self._decode(body)
        except StatusError as error:
            self.refuse(stream_id, error)
            return
        if isinstance(route, UnknownMethod):
            found = self._routes.find(route, flags)
            if found is None:
                self._refuse_unknown(stream_id, route)
                return
            route = found
        if route.is_unary:
            # The flags of a unary request have no meaning.
            self._events.call_received(
                stream_id, route, payload, timeout_nano, metadata
            )
        else:
            self._open_stream(stream_id, flags, route, payload, timeout_nano, metadata)

    def _refuse_unknown(self, stream_id: int, unknown: UnknownMethod) -> None:
        known = unknown.service in self._routes.service_names
        what = f"method {unknown.method}" if known else f"service {unknown.service}"
        self.refuse(stream_id, StatusError(Code.UNIMPLEMENTED, sanitize(what)))

    def _open_stream(
        self,
        stream_id: int,
        flags: int,
        route: Route,
        payload: Payload,
        timeout_nano: int,
        metadata: Pairs,
    ) -> None:
        stream = Stream(stream_id, route.method)
        self.streams[stream_id] = stream
        self._events.stream_opened(stream, route, timeout_nano, metadata)
        client_streaming = route.method.cardinality.client_streaming
        # Go's client opens a stream with neither payload nor NO_DATA and has sent no
        # message. Where the client sends exactly one, no bytes are the empty message.
        if not stream.is_closed and (payload or not client_streaming):
            self._events.message_received(stream, payload)
        if not client_streaming or flags & REMOTE_CLOSED:
            self._close_remote(stream)

    def _receive_data(self, stream_id: int, flags: int, payload: Payload) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            # Unary calls are not in `streams`: Data for one is refused and the call
            # goes on, where Go's server crashes.
            self._refuse_frame(stream_id, INACTIVE_ID if stream_id & 1 else EVEN_ID)
            return
        if not flags & NO_DATA:
            if not stream.can_receive:
                self._refuse_frame(stream_id, STREAM_CLOSED)
                return
            self._events.message_received(stream, payload)
        if flags & REMOTE_CLOSED:
            self._close_remote(stream)

    def _receive_oversized(self, frame: Oversized) -> None:
        error = StatusError(Code.RESOURCE_EXHAUSTED, NO_ROOM)
        if frame.length > self._limit:
            error = OversizedMessage(frame.stream_id, frame.length, self._limit)
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            self.counts.refused_frames += 1
            self._put_error(frame.stream_id, error)
        else:
            self.fail(stream, error)
            self._events.stream_failed(stream, error)

    def _close_remote(self, stream: Stream) -> None:
        if stream.can_receive:
            stream.advance(StreamEvent.REMOTE_CLOSE)
            self._events.remote_closed(stream)

    def _refuse_frame(self, stream_id: int, message: str) -> None:
        self.counts.refused_frames += 1
        self._put_error(stream_id, StatusError(Code.INVALID_ARGUMENT, message))

    # Sending.

    def send_response(self, stream_id: int, payload: bytes) -> None:
        """Answer a unary call. A response over the limit is replaced by an error."""
        size = len(payload)
        if size + 8 > self._limit:
            length = size + len(response_head(size))
            if length > self._limit:
                oversized = OversizedMessage(stream_id, length, self._limit)
                self.send_error(stream_id, oversized)
                return
        self.counts.succeeded += 1
        self.outbox.put_response(stream_id, payload)

    def send_error(self, stream_id: int, error: StatusError) -> None:
        """Answer a unary call with a status."""
        self.counts.count_failure(error.code)
        self._put_error(stream_id, error)

    def refuse(self, stream_id: int, error: StatusError) -> None:
        """Answer a call, unary or streaming, that no handler gets."""
        self.counts.refused += 1
        stream = self.streams.get(stream_id)
        if stream is None:
            self.send_error(stream_id, error)
        else:
            self.fail(stream, error)

    def _put_error(self, stream_id: int, error: StatusError) -> None:
        body = encode_error(error)
        if len(body) > self._limit:
            error = OversizedMessage(stream_id, len(body), self._limit)
            body = encode_error(error)
        self.outbox.put(stream_id, RESPONSE, 0, body)

    def send_message(self, stream: Stream, payload: bytes) -> None:
        """Send one message of a stream.

        Raises:
            StreamClosed: the stream has ended.
            OversizedMessage: the message is over the limit; nothing was sent.
        """
        if not stream.can_send:
            raise StreamClosed(f"stream {stream.stream_id}: closed")
        if len(payload) > self._limit:
            raise OversizedMessage(stream.stream_id, len(payload), self._limit)
        self.outbox.put_message(stream.stream_id, payload)

    def finish(self, stream: Stream, payload: bytes | None) -> None:
        """End a stream without an error; harmless if it has ended.

        `payload` is the one response; None where the server streams.
        """
        if self._end(stream):
            if payload is None:
                self.counts.succeeded += 1
                self.outbox.put_close(stream.stream_id)
            else:
                self.send_response(stream.stream_id, payload)

    def fail(self, stream: Stream, error: StatusError) -> None:
        """End a stream with an error; harmless if it has ended."""
        if self._end(stream):
            self.send_error(stream.stream_id, error)

    def end_all(self) -> None:
        """End every stream, because the connection has ended."""
        for stream in list(self.streams.values()):
            self._end(stream)

    def _end(self, stream: Stream) -> bool:
        stream.advance(StreamEvent.END)
        return self.streams.pop(stream.stream_id, None) is not None
