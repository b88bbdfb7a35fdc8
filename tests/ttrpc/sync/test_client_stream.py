# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from tests.helpers.wire import DATA, RESPONSE, Frame, close, data
from ttrpc import Closed, Code, Limits, RemoteProtocolError, StatusError, StreamClosed
from ttrpc.envelope_pb2 import Response, Status
from ttrpc.errors import StreamFull
from ttrpc.sync import Client, ClientStream

HI = BytesValue(value=b"hi")
BIG = BytesValue(value=bytes(1 << 20))
Pair = tuple[ClientStream[BytesValue, BytesValue], socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A stream that echoes, if the server at the other socket does so."""
    ours, theirs = socket.socketpair()
    with theirs, Client(ours, limits=Limits(stream_inbox=1000)) as client:
        yield client.open_stream(ECHO["EchoStream"], timeout=30), theirs


def test_messages_come_and_then_the_end(pair: Pair) -> None:
    stream, server = pair
    server.sendall(bytes(data(1, HI)) + bytes(data(1)) + bytes(close(1)))
    assert list(stream) == [HI, BytesValue()]
    assert stream.recv() is None


def test_an_error_ends_it_for_sender_and_reader(pair: Pair) -> None:
    stream, server = pair
    status = Status(code=Code.ABORTED, message="enough")
    body = Response(status=status).SerializeToString()
    server.sendall(bytes(Frame(1, RESPONSE, 0, body)))
    for use in (stream.recv, lambda: stream.send(HI), stream.close_send):
        with pytest.raises(StatusError, match="^ABORTED: enough$"):
            use()


def test_an_invalid_message_is_the_servers_fault(pair: Pair) -> None:
    stream, server = pair
    server.sendall(bytes(Frame(1, DATA, 0, b"\xff\xff")))
    with pytest.raises(RemoteProtocolError, match="/EchoStream: message is not proto"):
        stream.recv()


def test_an_end_is_no_response(pair: Pair) -> None:
    stream, server = pair
    server.sendall(bytes(close(1)))
    with pytest.raises(RemoteProtocolError, match="ended without a response"):
        stream.response()


def test_nothing_is_sent_after_the_end(pair: Pair) -> None:
    stream, _ = pair
    stream.close_send()
    with pytest.raises(StreamClosed):
        stream.send(HI)


def test_the_unread_bytes_of_a_stream_are_bounded(pair: Pair) -> None:
    stream, server = pair
    server.sendall(3 * bytes(data(1, BytesValue(value=bytes(1000)))))
    with pytest.raises(StreamFull, match="/EchoStream: its reader is too slow"):
        list(stream)


def test_the_unread_bytes_of_all_streams_are_bounded() -> None:
    """A server may fill every stream that a client opens."""
    ours, theirs = socket.socketpair()
    limits = Limits(held_per_connection=100_000)
    with theirs, Client(ours, limits=limits) as client:
        streams = [client.open_stream(ECHO["EchoStream"]) for _ in range(20)]
        message = BytesValue(value=bytes(10_000))
        numbers = range(len(streams))
        theirs.sendall(b"".join(bytes(data(2 * it + 1, message)) for it in numbers))
        assert streams[10 - 1].recv() == message
        with pytest.raises(StreamFull):
            streams[-1].recv()


def test_a_deadline_ends_a_send_that_waits() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours) as client:
        with pytest.raises(StatusError) as caught:
            client.open_stream(ECHO["EchoStream"], timeout=0.05).send(BIG)
        assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_a_stream_that_could_not_be_opened_in_time_is_forgotten() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(100_000))
    with theirs, Client(ours) as client:
        with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
            client.open_stream(ECHO["EchoStream"], timeout=0.01)
        assert not client._session.connection.streams


def test_leaving_it_tells_the_server(pair: Pair) -> None:
    stream, server = pair
    with stream:
        server.recv(1000)
    stream.close()
    assert server.recv(1000) == bytes(close(1))
    with pytest.raises(Closed, match="^stream 1: abandoned$"):
        stream.recv()


def test_leaving_it_when_the_server_has_gone_raises_nothing(pair: Pair) -> None:
    """An error here would replace the error that left the block."""
    stream, server = pair

    def leave() -> None:
        with stream:
            server.close()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        leave()
