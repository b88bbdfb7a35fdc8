# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from bench.ttrpc.service import services
from tests.helpers.frames import raw_frames
from ttrpc.codes import Code
from ttrpc.envelope_pb2 import Request, Response
from ttrpc.errors import OversizedMessage, StatusError, StreamClosed
from ttrpc.frame import (
    DATA,
    NO_DATA,
    REMOTE_CLOSED,
    REQUEST,
    RESPONSE,
    Oversized,
    Payload,
)
from ttrpc.metadata import Pairs
from ttrpc.routes import Route, Routes
from ttrpc.server_connection import ServerConnection
from ttrpc.stream import Stream

LIMIT = 1000
ROUTES = Routes(services())


class Recorder:
    """Records the events of the connection, and keeps its streams."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.streams: dict[int, Stream] = {}

    def call_received(
        self,
        stream_id: int,
        route: Route,
        payload: Payload,
        timeout_nano: int,
        metadata: Pairs,
    ) -> None:
        call = (route.method.name, bytes(payload), timeout_nano, list(metadata))
        self.events.append(("call", stream_id, *call))

    def stream_opened(
        self, stream: Stream, route: Route, timeout_nano: int, metadata: Pairs
    ) -> None:
        self.streams[stream.stream_id] = stream
        self.events.append(("opened", stream.stream_id, route.method.name))

    def message_received(self, stream: Stream, payload: Payload) -> None:
        self.events.append(("message", stream.stream_id, bytes(payload)))

    def remote_closed(self, stream: Stream) -> None:
        self.events.append(("closed", stream.stream_id))

    def stream_failed(self, stream: Stream, error: Exception) -> None:
        self.events.append(("failed", stream.stream_id, type(error)))


class Server:
    """The core of a server and the frames that it sends."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.recorder = Recorder()
        self.connection = ServerConnection(ROUTES, self.recorder, limit=limit)

    def request(
        self, stream_id: int, method: str, payload: bytes = b"", flags: int = 0
    ) -> None:
        body = Request(service="peer.v1.Echo", method=method, payload=payload)
        self.receive(stream_id, REQUEST, flags, body.SerializeToString())

    def receive(self, stream_id: int, type: int, flags: int, payload: bytes) -> None:
        self.connection.receive_frame((stream_id, type, flags, payload))

    def open_stream(self, stream_id: int, method: str = "EchoStream") -> Stream:
        self.request(stream_id, method)
        return self.recorder.streams[stream_id]

    @property
    def events(self) -> list[tuple[Any, ...]]:
        """The events since the last use of this property."""
        events, self.recorder.events = self.recorder.events, []
        return events

    @property
    def sent(self) -> list[Any]:
        """The frames sent since the last use; errors as (id, code, text)."""
        outbox = self.connection.outbox
        frames = raw_frames(b"".join(outbox.chunks))
        outbox.chunks.clear()
        outbox.size = 0
        shown: list[Any] = []
        for stream_id, type, flags, payload in frames:
            response = Response() if type == DATA else Response.FromString(payload)
            if response.HasField("status"):
                status = response.status
                shown.append((stream_id, Code(status.code), status.message))
            elif type == RESPONSE:
                shown.append((stream_id, response.payload))
            else:
                shown.append((stream_id, DATA, flags, bytes(payload)))
        return shown


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_call_is_told_and_answered(server: Server) -> None:
    server.request(1, "Echo", b"hi")
    assert server.events == [("call", 1, "Echo", b"hi", 0, [])]
    server.connection.send_response(1, b"ho")
    assert server.sent == [(1, b"ho")]


@pytest.mark.parametrize("flags", [1, 2, 3, 4, 6, 0xF0])
def test_flags_mean_nothing_on_a_unary_request(server: Server, flags: int) -> None:
    server.request(1, "Echo", b"hi", flags)
    assert server.events == [("call", 1, "Echo", b"hi", 0, [])]


@pytest.mark.parametrize(
    ("stream_id", "text"),
    [
        (0, "StreamID must be odd for client initiated streams"),
        (2, "StreamID must be odd for client initiated streams"),
        (5, "StreamID cannot be re-used and must increment"),
        (3, "StreamID cannot be re-used and must increment"),
    ],
)
def test_stream_ids_are_odd_and_increase(
    server: Server, stream_id: int, text: str
) -> None:
    server.request(5, "Echo")
    server.request(stream_id, "Echo")
    assert server.sent == [(stream_id, Code.INVALID_ARGUMENT, text)]
    server.request(7, "Echo")
    assert [event[:2] for event in server.events] == [("call", 5), ("call", 7)]


def test_a_method_that_is_not_served_is_unimplemented(server: Server) -> None:
    server.request(1, "Nope")
    other = Request(service="no.Such", method="Echo").SerializeToString()
    server.receive(3, REQUEST, 0, other)
    assert server.sent == [
        (1, Code.UNIMPLEMENTED, "method Nope"),
        (3, Code.UNIMPLEMENTED, "service no.Such"),
    ]


def test_a_long_name_that_is_not_served_does_not_come_back_whole() -> None:
    server = Server(limit=4 << 20)
    server.request(1, "N" * (1 << 20))
    other = Request(service="s" * (1 << 20), method="Echo").SerializeToString()
    server.receive(3, REQUEST, 0, other)
    for _, code, text in server.sent:
        assert code == Code.UNIMPLEMENTED
        assert len(text) < 2000


def test_an_invalid_request_is_refused(server: Server) -> None:
    server.receive(1, REQUEST, 0, b"\xff\xff")
    ((stream_id, code, text),) = server.sent
    assert (stream_id, code) == (1, Code.INVALID_ARGUMENT)
    assert text.startswith("unmarshal request error: ")


def test_ten_zero_bytes_are_answered(server: Server) -> None:
    """Some clients send ten zero bytes as a ping."""
    server.receive(0, 0, 0, b"")
    text = "StreamID must be odd for client initiated streams"
    assert server.sent == [(0, Code.INVALID_ARGUMENT, text)]


@pytest.mark.parametrize("type", [RESPONSE, 0, 9, 255])
def test_frames_that_clients_do_not_send_are_ignored(server: Server, type: int) -> None:
    server.receive(1, type, 0, b"x")
    assert not server.events
    assert not server.sent


def test_both_sides_send_and_close_a_stream(server: Server) -> None:
    stream = server.open_stream(1)
    server.receive(1, DATA, 0, b"m1")
    server.receive(1, DATA, 0, b"")
    server.receive(1, DATA, NO_DATA, b"hidden")
    server.receive(1, DATA, REMOTE_CLOSED | NO_DATA, b"")
    server.receive(1, DATA, REMOTE_CLOSED | NO_DATA, b"")
    assert server.events == [
        ("opened", 1, "EchoStream"),
        ("message", 1, b"m1"),
        ("message", 1, b""),
        ("closed", 1),
    ]
    server.connection.send_message(stream, b"m2")
    server.connection.finish(stream, None)
    assert server.sent == [(1, DATA, 0, b"m2"), (1, DATA, 5, b"")]
    assert not server.connection.streams


def test_a_last_message_may_close_the_stream(server: Server) -> None:
    server.open_stream(1)
    server.receive(1, DATA, REMOTE_CLOSED, b"last")
    assert server.events[1:] == [("message", 1, b"last"), ("closed", 1)]


def test_one_request_is_a_message_and_the_end(server: Server) -> None:
    """Where the client does not stream, no bytes are the empty message."""
    server.request(1, "Download")
    assert server.events == [
        ("opened", 1, "Download"),
        ("message", 1, b""),
        ("closed", 1),
    ]


def test_a_stream_is_opened_with_a_message_or_without(server: Server) -> None:
    """Go's client opens a stream with neither payload nor NO_DATA, for no message."""
    server.request(1, "EchoStream")
    server.request(3, "EchoStream", b"first")
    server.request(5, "EchoStream", flags=REMOTE_CLOSED)
    assert server.events == [
        ("opened", 1, "EchoStream"),
        ("opened", 3, "EchoStream"),
        ("message", 3, b"first"),
        ("opened", 5, "EchoStream"),
        ("closed", 5),
    ]


def test_a_stream_that_is_refused_at_once_gets_no_message(server: Server) -> None:
    def refuse(stream: Stream, *_: object) -> None:
        server.connection.fail(stream, StatusError(Code.UNAVAILABLE, "closing"))

    server.recorder.stream_opened = refuse  # type: ignore[method-assign]
    server.request(1, "Download", b"x")
    assert not server.events
    assert server.sent == [(1, Code.UNAVAILABLE, "closing")]


def test_data_after_the_clients_end_is_refused(server: Server) -> None:
    server.open_stream(1)
    server.receive(1, DATA, REMOTE_CLOSED | NO_DATA, b"")
    server.receive(1, DATA, 0, b"late")
    text = "data handling error: ttrpc: stream closed"
    assert server.sent == [(1, Code.INVALID_ARGUMENT, text)]
    assert ("message", 1, b"late") not in server.events


@pytest.mark.parametrize(
    ("stream_id", "text"),
    [
        (1, "StreamID is no longer active"),
        (9, "StreamID is no longer active"),
        (2, "StreamID must be odd for client initiated streams"),
    ],
)
def test_data_for_no_stream_is_refused(
    server: Server, stream_id: int, text: str
) -> None:
    """Also for a unary call that runs, where Go's server crashes."""
    server.request(1, "Echo")
    server.receive(stream_id, DATA, 0, b"x")
    assert server.sent == [(stream_id, Code.INVALID_ARGUMENT, text)]
    server.connection.send_response(1, b"still")
    assert server.sent == [(1, b"still")]


def test_a_request_over_the_limit_is_an_error_of_its_call(server: Server) -> None:
    server.connection.receive_frame(Oversized(1, LIMIT + 1))
    text = f"message length {LIMIT + 1} exceed maximum message size of {LIMIT}"
    assert server.sent == [(1, Code.RESOURCE_EXHAUSTED, text)]


def test_a_request_for_which_there_is_no_room_is_refused(server: Server) -> None:
    server.connection.receive_frame(Oversized(1, LIMIT))
    assert server.sent == [(1, Code.RESOURCE_EXHAUSTED, "too much in flight")]


def test_a_message_over_the_limit_ends_its_stream(server: Server) -> None:
    server.open_stream(1)
    server.connection.receive_frame(Oversized(1, LIMIT + 1))
    assert server.events[1:] == [("failed", 1, OversizedMessage)]
    ((_, code, _),) = server.sent
    assert code is Code.RESOURCE_EXHAUSTED
    assert not server.connection.streams


@pytest.mark.parametrize("over", [0, 1])
def test_a_response_up_to_the_limit_is_sent(server: Server, over: int) -> None:
    """Go's server closes the connection when a response is larger."""
    payload = bytes(LIMIT - 3 + over)
    server.connection.send_response(1, payload)
    if over:
        text = f"message length {LIMIT + 1} exceed maximum message size of {LIMIT}"
        assert server.sent == [(1, Code.RESOURCE_EXHAUSTED, text)]
    else:
        assert server.sent == [(1, payload)]


def test_an_error_over_the_limit_is_sent_as_one_that_is_not(server: Server) -> None:
    details = [AnyMessage(value=bytes(LIMIT))]
    server.connection.send_error(1, StatusError(Code.ABORTED, "x", details))
    ((_, code, _),) = server.sent
    assert code is Code.RESOURCE_EXHAUSTED


def test_a_message_to_send_that_is_over_the_limit_is_the_callers_fault(
    server: Server,
) -> None:
    stream = server.open_stream(1)
    with pytest.raises(OversizedMessage):
        server.connection.send_message(stream, bytes(LIMIT + 1))
    server.connection.send_message(stream, bytes(LIMIT))
    assert server.sent == [(1, DATA, 0, bytes(LIMIT))]


def test_an_ended_stream_takes_nothing(server: Server) -> None:
    stream = server.open_stream(1)
    server.connection.fail(stream, StatusError(Code.ABORTED, "enough"))
    server.connection.fail(stream, StatusError(Code.ABORTED, "again"))
    server.connection.finish(stream, None)
    with pytest.raises(StreamClosed, match="stream 1: closed"):
        server.connection.send_message(stream, b"x")
    assert server.sent == [(1, Code.ABORTED, "enough")]


def test_one_response_ends_a_client_stream(server: Server) -> None:
    server.connection.finish(server.open_stream(1, "Upload"), b"total")
    assert server.sent == [(1, b"total")]


def test_the_end_of_the_connection_ends_its_streams(server: Server) -> None:
    streams = [server.open_stream(1), server.open_stream(3)]
    server.connection.end_all()
    assert all(stream.is_closed for stream in streams)
    assert not server.connection.streams
    assert not server.sent


def test_a_call_that_no_handler_gets_is_refused_whatever_its_kind(
    server: Server,
) -> None:
    error = StatusError(Code.UNAVAILABLE, "closing")
    server.request(1, "Echo")
    server.request(3, "EchoStream")
    server.connection.refuse(1, error)
    server.connection.refuse(3, error)
    assert [stream_id for stream_id, *_ in server.sent] == [1, 3]
    assert server.recorder.streams[3].is_closed
    counts = server.connection.counts
    assert (counts.started, counts.refused) == (2, 2)
    assert counts.failed == {Code.UNAVAILABLE: 2}
