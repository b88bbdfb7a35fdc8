# SPDX-License-Identifier: Apache-2.0
"""The client's side of one connection: the rules, without a socket or a clock.

`start_call` and `open_stream` put a Request into the outbox. Frames from the server go
in through `receive_frame`, which calls the methods of `ClientEvents`. The server is not
trusted: frames for calls that have ended are ignored, and a frame that breaks the
protocol ends its call. `docs/ttrpc/sansio.md` describes how an I/O layer drives this
class.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from ttrpc.call_counts import CallCounts
from ttrpc.codes import Code
from ttrpc.envelope import decode_response, encode_request, request_head
from ttrpc.errors import (
    Closed,
    LocalProtocolError,
    OversizedMessage,
    RemoteProtocolError,
    StreamClosed,
    TtrpcError,
)
from ttrpc.frame import (
    DATA,
    MESSAGE_LIMIT,
    NO_DATA,
    REMOTE_CLOSED,
    REMOTE_OPEN,
    REQUEST,
    RESPONSE,
    Oversized,
    Payload,
    RawFrame,
    ReceivedFrame,
)
from ttrpc.keepalive import PROBE
from ttrpc.metadata import Pairs
from ttrpc.outbox import Outbox
from ttrpc.service import Cardinality, Method
from ttrpc.status import code_of
from ttrpc.stream import Stream, StreamEvent

LAST_ID: Final = 0xFFFFFFFF


class ClientEvents(Protocol):
    """The methods that a connection calls; each I/O layer and test has its own."""

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        """A unary call was answered with OK."""

    def call_failed(self, stream_id: int, error: Exception) -> None:
        """A unary call was answered with a status, or with an invalid frame."""

    def message_received(self, stream: Stream, payload: Payload) -> None:
        """The next message of a stream was received."""

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        """The stream has ended; the last call for it."""


class ClientConnection:
    """Calls, streams and their ids, as the client sees them."""

    __slots__ = (
        "_counts",
        "_events",
        "_heads",
        "_limit",
        "_next_id",
        "calls",
        "outbox",
        "streams",
    )

    def __init__(
        self,
        events: ClientEvents,
        *,
        limit: int = MESSAGE_LIMIT,
        counts: CallCounts | None = None,
    ) -> None:
        """Start with no calls.

        Args:
            limit: Bytes of payload in a frame.
            counts: Counts the streams; connections may share it. The I/O layer counts
                unary calls, because it alone knows of timeouts, and of calls that were
                never sent.
        """
        self._events = events
        self._counts = counts or CallCounts()
        self._limit = limit
        self._next_id = 1
        self._heads: dict[tuple[str, str], bytes] = {}
        self.calls: set[int] = set()
        """Ids of the unary calls that have not been answered."""
        self.streams: dict[int, Stream] = {}
        """The streams that have not ended, by id."""
        self.outbox = Outbox()
        """The frames to write."""

    # Sending.

    def start_call(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int = 0,
        metadata: Pairs = (),
    ) -> int:
        """Send a unary request and return its stream id.

        Raises:
            OversizedMessage: the request is over the limit; nothing was sent.
            Closed: the connection has used up its stream ids.
        """
        stream_id = self._send_request(method, 0, payload, timeout_nano, metadata)
        self.calls.add(stream_id)
        return stream_id

    def open_stream(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int = 0,
        metadata: Pairs = (),
    ) -> Stream:
        """Send the request that opens a stream.

        `payload` is the one message of a client that does not stream. Raises as
        `start_call` does.
        """
        if method.cardinality.client_streaming:
            # NO_DATA, because ttrpc-rust's server takes REMOTE_OPEN alone with no
            # bytes for an empty message.
            assert not payload
            flags = REMOTE_OPEN | NO_DATA
        else:
            flags = REMOTE_CLOSED
        stream_id = self._send_request(method, flags, payload, timeout_nano, metadata)
        self._counts.started += 1
        stream = Stream(stream_id, method)
        if not method.cardinality.client_streaming:
            stream.advance(StreamEvent.LOCAL_CLOSE)
        self.streams[stream_id] = stream
        return stream

    def send_message(self, stream: Stream, payload: bytes) -> None:
        """Send one message of a stream.

        Raises:
            LocalProtocolError: the method takes one request, not a stream.
            StreamClosed: the stream has ended, or this side has closed it.
            OversizedMessage: the message is over the limit; nothing was sent.
        """
        self._check_can_send(stream)
        if len(payload) > self._limit:
            raise OversizedMessage(stream.stream_id, len(payload), self._limit)
        self.outbox.put_message(stream.stream_id, payload)

    def close_send(self, stream: Stream) -> None:
        """Close this side's direction. Raises as `send_message` does."""
        self._check_can_send(stream)
        stream.advance(StreamEvent.LOCAL_CLOSE)
        self.outbox.put_close(stream.stream_id)

    def abandon_call(self, stream_id: int) -> None:
        """Forget a unary call; the protocol cannot cancel it at the server."""
        self.calls.discard(stream_id)

    def abandon_stream(self, stream: Stream, code: Code | int = Code.CANCELLED) -> None:
        """End a stream from this side. The server sees the end of the messages.

        `code` is the one under which it is counted.
        """
        if stream.can_send:
            stream.advance(StreamEvent.LOCAL_CLOSE)
            self.outbox.put_close(stream.stream_id)
        self._end(stream, code)

    def send_probe(self) -> None:
        """Send a request that any server answers; the answer is ignored.

        Nothing is sent when the stream ids are used up: no call can follow either.
        """
        if self._next_id <= LAST_ID:
            self._send_request(PROBE, 0, b"", 0, ())

    def end_all(self) -> None:
        """End every call and stream, because the connection has ended."""
        self.calls.clear()
        for stream in list(self.streams.values()):
            self._end(stream, Closed.code)

    def _send_request(
        self,
        method: Method[Any, Any],
        flags: int,
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
    ) -> int:
        stream_id = self._next_id
        if stream_id > LAST_ID:
            raise Closed("connection: stream ids used up")
        name = (method.service, method.name)
        head = self._heads.get(name)
        if head is None:
            head = self._heads[name] = request_head(*name)
        parts = encode_request(head, payload, timeout_nano, metadata)
        length = sum(map(len, parts))
        if length > self._limit:
            raise OversizedMessage(stream_id, length, self._limit)
        # The id counts as used only when its frame is in the outbox, because servers
        # insist that ids increase on the wire.
        self._next_id = stream_id + 2
        self.outbox.put(stream_id, REQUEST, flags, *parts)
        return stream_id

    def _check_can_send(self, stream: Stream) -> None:
        if not stream.method.cardinality.client_streaming:
            raise LocalProtocolError(
                f"{stream.method.full_method}: the client does not stream"
            )
        if not stream.can_send:
            raise StreamClosed(f"stream {stream.stream_id}: closed")

    # Receiving.

    def receive_frame(self, frame: ReceivedFrame) -> None:
        """Deal with one frame. Raises only errors of the event methods."""
        # Faster than isinstance, on the way of every frame.
        if type(frame) is Oversized:
            self._receive_oversized(frame)
            return
        stream_id, message_type, flags, payload = frame
        if stream_id in self.calls:
            self.calls.remove(stream_id)
            self._receive_answer(frame)
        elif stream_id in self.streams:
            stream = self.streams[stream_id]
            if message_type == DATA:
                self._receive_data(stream, flags, payload)
            else:
                self._receive_end(stream, frame)

    def _receive_oversized(self, frame: Oversized) -> None:
        stream_id, length = frame
        error = OversizedMessage(stream_id, length, self._limit)
        if stream_id in self.calls:
            self.calls.remove(stream_id)
            self._events.call_failed(stream_id, error)
        elif stream_id in self.streams:
            self._fail(self.streams[stream_id], error)

    def _receive_answer(self, frame: RawFrame) -> None:
        stream_id = frame[0]
        try:
            response = _decode_response(frame)
        except TtrpcError as error:
            self._events.call_failed(stream_id, error)
        else:
            self._events.call_succeeded(stream_id, response)

    def _receive_data(self, stream: Stream, flags: int, payload: Payload) -> None:
        if not stream.method.cardinality.server_streaming:
            self._fail(
                stream, RemoteProtocolError("received data from non-streaming server")
            )
            return
        if not flags & NO_DATA:
            self._events.message_received(stream, payload)
        if flags & REMOTE_CLOSED and not stream.is_closed:
            # A server that closes its direction has ended the call, and refuses later
            # frames as "no longer active".
            self._end(stream, Code.OK)
            self._events.stream_ended(stream, None)

    def _receive_end(self, stream: Stream, frame: RawFrame) -> None:
        try:
            response = _decode_response(frame)
        except TtrpcError as error:
            self._fail(stream, error)
            return
        self._end(stream, Code.OK)
        method = stream.method
        if method.is_raw and method.cardinality.server_streaming:
            stream.answer = response
        elif response or method.cardinality is Cardinality.STREAM_UNARY:
            self._events.message_received(stream, response)
        self._events.stream_ended(stream, None)

    def _fail(self, stream: Stream, error: Exception) -> None:
        self._end(stream, code_of(error))
        self._events.stream_ended(stream, error)

    def _end(self, stream: Stream, code: Code | int) -> None:
        self._counts.count(code)
        stream.advance(StreamEvent.END)
        self.streams.pop(stream.stream_id, None)


def _decode_response(frame: RawFrame) -> bytes:
    """Return the payload of a Response. Raises the error that the frame carries."""
    _, type, _, payload = frame
    if type != RESPONSE:
        kind = "data" if type == DATA else "unknown"
        raise RemoteProtocolError(f"unexpected {kind!r} message received")
    try:
        return decode_response(payload)
    except DecodeError as exc:
        raise RemoteProtocolError(f"response is not protobuf: {exc}") from None
