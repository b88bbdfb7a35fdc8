# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.frames import raw_frames
from tests.helpers.peer import ECHO
from ttrpc.call_counts import CallCounts
from ttrpc.client_connection import LAST_ID, ClientConnection
from ttrpc.codes import Code
from ttrpc.envelope import encode_error
from ttrpc.envelope_pb2 import Request
from ttrpc.errors import (
    Closed,
    LocalProtocolError,
    OversizedMessage,
    RemoteProtocolError,
    StatusError,
    StreamClosed,
)
from ttrpc.frame import (
    DATA,
    NO_DATA,
    REMOTE_CLOSED,
    REMOTE_OPEN,
    REQUEST,
    RESPONSE,
    Oversized,
    Payload,
)
from ttrpc.stream import Stream

LIMIT = 1000
OK = b"\x12\x02ok"
NOT_FOUND = encode_error(StatusError(Code.NOT_FOUND, "none"))


class Client:
    """The core of a client, its events and the frames that it sends."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.connection = ClientConnection(self, limit=LIMIT)

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        self.events.append(("succeeded", stream_id, payload))

    def call_failed(self, stream_id: int, error: Exception) -> None:
        self.events.append(("failed", stream_id, type(error), str(error)))

    def message_received(self, stream: Stream, payload: Payload) -> None:
        self.events.append(("message", stream.stream_id, bytes(payload)))

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        shown = () if error is None else (type(error), str(error))
        self.events.append(("ended", stream.stream_id, *shown))

    def call(self, payload: bytes = b"") -> int:
        return self.connection.start_call(ECHO["Echo"], payload)

    def open_stream(self, method: str = "EchoStream", payload: bytes = b"") -> Stream:
        return self.connection.open_stream(ECHO[method], payload)

    def receive(self, stream_id: int, type: int, flags: int, payload: bytes) -> None:
        self.connection.receive_frame((stream_id, type, flags, payload))

    @property
    def sent(self) -> list[tuple[int, int, int, bytes]]:
        """The frames sent since the last use of this property."""
        outbox = self.connection.outbox
        frames = raw_frames(b"".join(outbox.chunks))
        outbox.chunks.clear()
        outbox.size = 0
        return frames


@pytest.fixture
def client() -> Client:
    return Client()


def test_a_call_is_sent_with_all_that_belongs_to_it(client: Client) -> None:
    pairs = [("key", "a"), ("key", "b")]
    client.connection.start_call(ECHO["Echo"], b"hi", 5, pairs)
    ((stream_id, type, flags, body),) = client.sent
    assert (stream_id, type, flags) == (1, REQUEST, 0)
    request = Request.FromString(body)
    assert (request.service, request.method) == ("peer.v1.Echo", "Echo")
    assert (request.payload, request.timeout_nano) == (b"hi", 5)
    assert [(pair.key, pair.value) for pair in request.metadata] == pairs


def test_ids_are_odd_and_increase(client: Client) -> None:
    ids = [client.call(), client.open_stream().stream_id, client.call()]
    assert ids == [1, 3, 5]


def test_used_up_ids_end_the_connections_use(client: Client) -> None:
    client.connection._next_id = LAST_ID
    assert client.call() == LAST_ID
    with pytest.raises(Closed, match="connection: stream ids used up"):
        client.call()


def test_answers_come_in_any_order(client: Client) -> None:
    first, second, third = client.call(), client.call(), client.call()
    client.receive(second, RESPONSE, 0xFF, OK)
    client.receive(third, RESPONSE, 0, NOT_FOUND)
    client.receive(first, RESPONSE, 0, b"")
    assert client.events == [
        ("succeeded", 3, b"ok"),
        ("failed", 5, StatusError, "NOT_FOUND: none"),
        ("succeeded", 1, b""),
    ]


@pytest.mark.parametrize(
    ("type", "flags", "payload", "error", "text"),
    [
        (DATA, 0, b"", RemoteProtocolError, "unexpected 'data' message received"),
        (9, 0, b"", RemoteProtocolError, "unexpected 'unknown' message received"),
        (RESPONSE, 0, b"\xff", RemoteProtocolError, "response is not protobuf: "),
    ],
)
def test_a_wrong_answer_fails_its_call_alone(
    client: Client,
    type: int,
    flags: int,
    payload: bytes,
    error: type[Exception],
    text: str,
) -> None:
    wrong, right = client.call(), client.call()
    client.receive(wrong, type, flags, payload)
    client.receive(right, RESPONSE, 0, OK)
    (failed, stream_id, kind, shown), succeeded = client.events
    assert (failed, stream_id, kind) == ("failed", wrong, error)
    assert shown.startswith(text)
    assert succeeded == ("succeeded", right, b"ok")


def test_an_answer_over_the_limit_fails_its_call_alone(client: Client) -> None:
    wrong, right = client.call(), client.call()
    client.connection.receive_frame(Oversized(wrong, LIMIT + 1))
    client.receive(right, RESPONSE, 0, OK)
    text = f"message length {LIMIT + 1} exceed maximum message size of {LIMIT}"
    assert client.events == [
        ("failed", wrong, OversizedMessage, f"RESOURCE_EXHAUSTED: {text}"),
        ("succeeded", right, b"ok"),
    ]


def test_a_message_over_the_limit_ends_its_stream_alone(client: Client) -> None:
    wrong, right = client.open_stream(), client.open_stream()
    client.connection.receive_frame(Oversized(wrong.stream_id, LIMIT + 1))
    client.receive(right.stream_id, DATA, 0, b"x")
    (ended, stream_id, kind, _), message = client.events
    assert (ended, stream_id, kind) == ("ended", wrong.stream_id, OversizedMessage)
    assert wrong.is_closed
    assert message == ("message", right.stream_id, b"x")


def test_an_oversized_frame_for_an_ended_call_is_ignored(client: Client) -> None:
    client.connection.abandon_call(client.call())
    client.connection.receive_frame(Oversized(1, LIMIT + 1))
    assert not client.events


@pytest.mark.parametrize("stream_id", [0, 2, 1, 99])
@pytest.mark.parametrize("type", [REQUEST, RESPONSE, DATA, 9])
def test_frames_for_ended_calls_are_ignored(
    client: Client, stream_id: int, type: int
) -> None:
    client.connection.abandon_call(client.call())
    client.receive(stream_id, type, 0, OK)
    assert not client.events


def test_a_second_answer_is_ignored(client: Client) -> None:
    stream_id = client.call()
    client.receive(stream_id, RESPONSE, 0, OK)
    client.receive(stream_id, RESPONSE, 0, NOT_FOUND)
    assert len(client.events) == 1


def test_a_request_over_the_limit_is_not_sent(client: Client) -> None:
    with pytest.raises(OversizedMessage):
        client.call(bytes(LIMIT))
    assert not client.sent
    assert client.call() == 1, "the id was not used up"


def test_a_stream_is_opened_as_all_servers_understand_it(client: Client) -> None:
    client.open_stream()
    client.open_stream("Download", b"x")
    first, second = client.sent
    assert first[:3] == (1, REQUEST, REMOTE_OPEN | NO_DATA)
    assert not Request.FromString(first[3]).payload
    assert second[:3] == (3, REQUEST, REMOTE_CLOSED)
    assert Request.FromString(second[3]).payload == b"x"


def test_both_sides_send_and_close_a_stream(client: Client) -> None:
    stream = client.open_stream()
    client.connection.send_message(stream, b"m1")
    client.connection.close_send(stream)
    assert client.sent[1:] == [(1, DATA, 0, b"m1"), (1, DATA, 5, b"")]
    client.receive(1, DATA, 0, b"")
    client.receive(1, DATA, NO_DATA, b"hidden")
    client.receive(1, DATA, REMOTE_CLOSED, b"last")
    assert client.events == [("message", 1, b""), ("message", 1, b"last"), ("ended", 1)]
    assert not client.connection.streams


def test_a_response_ends_a_stream(client: Client) -> None:
    """With its one message; a server that streams may send one too."""
    client.open_stream("Upload")
    client.open_stream("Upload")
    client.open_stream("EchoStream")
    client.open_stream("EchoStream")
    for stream_id, payload in ((1, OK), (3, b""), (5, OK), (7, b"")):
        client.receive(stream_id, RESPONSE, 0, payload)
    assert client.events == [
        ("message", 1, b"ok"),
        ("ended", 1),
        ("message", 3, b""),
        ("ended", 3),
        ("message", 5, b"ok"),
        ("ended", 5),
        ("ended", 7),
    ]


def test_an_error_ends_a_stream(client: Client) -> None:
    client.open_stream()
    client.receive(1, RESPONSE, 0, NOT_FOUND)
    client.receive(1, DATA, 0, b"late")
    assert client.events == [("ended", 1, StatusError, "NOT_FOUND: none")]


def test_data_from_a_server_that_does_not_stream_ends_the_stream(
    client: Client,
) -> None:
    client.open_stream("Upload")
    client.receive(1, DATA, 0, b"x")
    text = "received data from non-streaming server"
    assert client.events == [("ended", 1, RemoteProtocolError, text)]


def test_a_reader_may_give_up_with_the_last_message(client: Client) -> None:
    """The close in the same frame finds the stream ended already."""
    stream = client.open_stream()

    def give_up(stream: Stream, payload: Payload) -> None:
        client.connection.abandon_stream(stream)

    client.message_received = give_up  # type: ignore[method-assign]
    client.receive(1, DATA, REMOTE_CLOSED, b"last")
    assert stream.is_closed
    assert not client.events


def test_a_client_that_does_not_stream_cannot_send(client: Client) -> None:
    stream = client.open_stream("Download")
    for use in (
        lambda: client.connection.send_message(stream, b""),
        lambda: client.connection.close_send(stream),
    ):
        with pytest.raises(LocalProtocolError, match="Download: the client does not"):
            use()


def test_after_its_end_a_client_cannot_send(client: Client) -> None:
    stream = client.open_stream()
    client.connection.close_send(stream)
    with pytest.raises(StreamClosed, match="stream 1: closed"):
        client.connection.send_message(stream, b"")
    with pytest.raises(StreamClosed, match="stream 1: closed"):
        client.connection.close_send(stream)


def test_a_message_over_the_limit_is_not_sent(client: Client) -> None:
    stream = client.open_stream()
    with pytest.raises(OversizedMessage):
        client.connection.send_message(stream, bytes(LIMIT + 1))
    client.connection.send_message(stream, bytes(LIMIT))
    assert client.sent[1:] == [(1, DATA, 0, bytes(LIMIT))]


def test_an_abandoned_stream_tells_the_server_that_no_more_comes(
    client: Client,
) -> None:
    """The protocol has no other way to signal the end."""
    sending, closed = client.open_stream(), client.open_stream()
    client.connection.close_send(closed)
    assert len(client.sent) == 3
    client.connection.abandon_stream(sending)
    client.connection.abandon_stream(closed)
    assert client.sent == [(1, DATA, 5, b"")]
    client.receive(1, DATA, 0, b"late")
    assert not client.events


def test_the_end_of_the_connection_ends_all(client: Client) -> None:
    client.call()
    stream = client.open_stream()
    client.connection.end_all()
    assert stream.is_closed
    assert not client.connection.calls
    assert not client.connection.streams


def test_a_probe_is_a_request_whose_answer_is_ignored(client: Client) -> None:
    client.connection.send_probe()
    ((stream_id, kind, flags, body),) = client.sent
    assert (stream_id, kind, flags) == (1, REQUEST, 0)
    assert Request.FromString(bytes(body)).service == "ttrpc.Keepalive"
    client.connection.receive_frame((1, RESPONSE, 0, NOT_FOUND))
    assert client.events == []
    assert client.call() == 3


def test_no_probe_is_sent_when_the_ids_are_used_up(client: Client) -> None:
    client.connection._next_id = LAST_ID + 2
    client.connection.send_probe()
    assert not client.connection.outbox.chunks


def test_streams_may_be_counted_by_several_connections() -> None:
    counts = CallCounts()
    for _ in range(2):
        connection = ClientConnection(Client(), counts=counts)
        for code in (Code.CANCELLED, Code.DEADLINE_EXCEEDED):
            stream = connection.open_stream(ECHO["EchoStream"], b"")
            connection.abandon_stream(stream, code)
        connection.open_stream(ECHO["EchoStream"], b"")
        connection.start_call(ECHO["Echo"], b"")
        connection.end_all()
    assert counts.started == 6
    assert counts.ended() == {
        Code.OK: 0,
        Code.CANCELLED: 2,
        Code.DEADLINE_EXCEEDED: 2,
        Code.UNAVAILABLE: 2,
    }
