# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO
from tests.helpers.wire import RESPONSE, Frame, close, data
from ttrpc.client_record import ClientRecord
from ttrpc.deadline import Deadline
from ttrpc.envelope_pb2 import Response
from ttrpc.errors import Closed, OversizedMessage, StreamFull
from ttrpc.limits import Limits
from ttrpc.sync import Client
from ttrpc.sync.client_session import ClientSession
from ttrpc.sync.thread_guard import ThreadGuard

LIMITS = Limits(message=100_000, held_per_connection=50_000)
Pair = tuple[ClientSession, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A session, and the socket of a server which does nothing by itself."""
    ours, theirs = socket.socketpair()
    session = ClientSession(ours, LIMITS, ThreadGuard(), None, ClientRecord(None, None))
    with theirs:
        yield session, theirs
        session.close("the test is over")


def response(stream_id: int, payload: bytes) -> bytes:
    body = Response(payload=payload).SerializeToString()
    return bytes(Frame(stream_id, RESPONSE, 0, body))


def soon() -> Deadline:
    return Deadline.after(10, clock=time.monotonic)


def test_a_call_returns_the_payload_of_its_response(pair: Pair) -> None:
    session, server = pair
    server.sendall(response(99, b"stray") + response(1, b"hi"))
    assert session.call(ECHO["Echo"], b"", 0, (), soon()) == b"hi"


def test_a_call_whose_deadline_passes_is_forgotten(pair: Pair) -> None:
    session, server = pair
    with pytest.raises(TimeoutError):
        session.call(ECHO["Echo"], b"", 1, (), Deadline.after(0, clock=time.monotonic))
    assert not session.connection.calls
    server.sendall(response(1, b"late") + response(3, b"next"))
    assert session.call(ECHO["Echo"], b"", 0, (), soon()) == b"next"


def test_a_request_over_the_limit_leaves_nothing_behind(pair: Pair) -> None:
    session, _ = pair
    with pytest.raises(OversizedMessage):
        session.call(ECHO["Echo"], bytes(LIMITS.message), 0, (), soon())
    assert not session.connection.outbox.size


def test_messages_of_other_streams_are_kept(pair: Pair) -> None:
    session, server = pair
    _, one = session.open_stream(ECHO["EchoStream"], b"", 0, (), soon())
    _, other = session.open_stream(ECHO["EchoStream"], b"", 0, (), soon())
    server.sendall(bytes(data(1, b"1")) + bytes(data(3, b"3")) + bytes(close(1)))
    assert session.receive(other, soon()) == b"3"
    assert session.receive(one, soon()) == b"1"
    assert session.receive(one, soon()) is None


def test_the_end_of_the_connection_ends_all(pair: Pair) -> None:
    session, server = pair
    stream, inbox = session.open_stream(ECHO["EchoStream"], b"", 0, (), soon())
    server.sendall(bytes(data(1, b"last")))
    server.shutdown(socket.SHUT_WR)
    assert session.receive(inbox, soon()) == b"last"
    for use in (
        lambda: session.receive(inbox, soon()),
        lambda: session.call(ECHO["Echo"], b"", 0, (), soon()),
        lambda: session.open_stream(ECHO["EchoStream"], b"", 0, (), soon()),
    ):
        with pytest.raises(Closed, match="^connection: closed by the peer$"):
            use()
    assert stream.is_closed
    session.close("another reason")
    assert str(session.closed) == "connection: closed by the peer"


def test_a_response_that_found_no_room_ends_its_call_as_too_slow(pair: Pair) -> None:
    """Other streams use up the connection's share; the response must not vanish."""
    session, server = pair
    hoard, _ = session.open_stream(ECHO["EchoStream"], b"", 0, (), soon())
    stream, inbox = session.open_stream(ECHO["Upload"], b"", 0, (), soon())
    payload = UInt64Value(value=1).SerializeToString() + bytes(5_000)
    server.sendall(bytes(data(hoard.stream_id, bytes(60_000))))
    server.sendall(response(stream.stream_id, payload))
    with pytest.raises(StreamFull, match="/Upload: its reader is too slow$"):
        session.receive(inbox, soon())


class Interrupted(socket.socket):
    """A socket on which the user's Ctrl-C comes right behind the system call."""

    sends = False
    receives = False

    def send(self, data: Any, flags: int = 0) -> int:
        size = super().send(data, flags)
        if self.sends:
            raise KeyboardInterrupt
        return size

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if self.receives:
            raise KeyboardInterrupt
        return data


@pytest.mark.parametrize("attribute", ["sends", "receives"])
def test_an_interrupt_neither_repeats_nor_loses_bytes(attribute: str) -> None:
    ours, theirs = socket.socketpair()
    sock = Interrupted(fileno=ours.detach())
    with theirs, Client(sock) as client:
        setattr(sock, attribute, True)
        if attribute == "receives":
            theirs.sendall(bytes(Frame(1, RESPONSE, 0, b"")))
        with pytest.raises(KeyboardInterrupt):
            client.call(ECHO["Len"], BytesValue())
        setattr(sock, attribute, False)
        with pytest.raises(Closed, match="^connection: interrupted while bytes were"):
            client.call(ECHO["Len"], BytesValue())
        request = theirs.recv(1000)
        assert request.count(b"peer.v1.Echo") == 1
        assert theirs.recv(1000) == b""
