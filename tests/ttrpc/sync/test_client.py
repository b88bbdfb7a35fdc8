# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, StringValue, UInt64Value

from bench.ttrpc.peers import python_peer
from tests.helpers.peer import ECHO, SECOND
from tests.helpers.wire import RESPONSE, Frame
from ttrpc import (
    CallContext,
    Closed,
    Code,
    Deadline,
    Limits,
    RemoteProtocolError,
    StatusError,
)
from ttrpc.envelope_pb2 import Response
from ttrpc.sync import Client

HI = BytesValue(value=b"hi")


@pytest.fixture
def client(our_server: str) -> Iterator[Client]:
    with Client.connect(f"unix://{our_server}") as client:
        yield client


def echo(client: Client) -> bytes:
    answer: BytesValue = client.call(ECHO["Echo"], HI, timeout=10)
    return answer.value


def test_calls_follow_each_other(client: Client) -> None:
    assert [echo(client) for _ in range(3)] == 3 * [b"hi"]
    assert client.closed is None


def test_interceptors_wrap_calls_and_streams(our_server: str) -> None:
    seen = []

    def interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
        seen.append(context.method.name)
        context.metadata.add("Key", "added")
        return proceed(request, context)

    address = f"unix://{our_server}"
    with Client.connect(address, interceptors=[interceptor]) as client:
        key = StringValue(value="key")
        answer = client.call(ECHO["Metadata"], key, metadata={"key": "own"})
        assert answer.value == "own,added"
        with client.open_stream(ECHO["Upload"]) as stream:
            stream.response()
    assert seen == ["Metadata", "Upload"]


def test_a_deadline_leaves_the_connection(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        client.call(ECHO["Sleep"], UInt64Value(value=SECOND), timeout=0.01)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert echo(client) == b"hi"


def test_a_deadline_that_has_passed_sends_nothing(client: Client) -> None:
    for use in (
        lambda: client.call(ECHO["Echo"], HI, timeout=0),
        lambda: client.open_stream(ECHO["EchoStream"], timeout=0),
    ):
        with pytest.raises(StatusError) as caught:
            use()
        assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert client._session.connection._next_id == 1


def test_it_cannot_connect_again_without_an_address() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="reconnect: needs an address"):
        Client(ours, reconnect=1)


def test_a_stream_needs_the_request_that_its_method_takes(client: Client) -> None:
    with pytest.raises(ValueError, match="/peer.v1.Echo/Download: takes a request"):
        client.open_stream(ECHO["Download"])
    with pytest.raises(ValueError, match="/EchoStream: takes no request"):
        client.open_stream(ECHO["EchoStream"], HI)


def test_a_closed_client_says_so(client: Client) -> None:
    stream = client.open_stream(ECHO["EchoStream"])
    client.close()
    client.close()
    for use in (lambda: echo(client), stream.recv, lambda: stream.send(HI)):
        with pytest.raises(Closed, match="^connection: closed on this side$"):
            use()


def test_it_connects_again_when_it_may(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    address = f"unix://{path}"
    with python_peer(path):
        client = Client.connect(address, reconnect=10)
        other = Client.connect(address)
        assert echo(client) == b"hi"
    with client, other:
        for lost in (client, other):
            with pytest.raises(Closed, match="^connection: "):
                echo(lost)
        with python_peer(path):
            assert echo(client) == b"hi"
            with pytest.raises(Closed, match="^connection: "):
                echo(other)


@pytest.fixture
def pair() -> Iterator[tuple[Client, socket.socket]]:
    """A client, and the socket of a server which does nothing by itself."""
    ours, theirs = socket.socketpair()
    with theirs, Client(ours, limits=Limits(stream_inbox=1000)) as client:
        yield client, theirs


def test_an_answer_that_is_no_protobuf_is_the_servers_fault(
    pair: tuple[Client, socket.socket],
) -> None:
    client, server = pair
    body = Response(payload=b"\xff\xff").SerializeToString()
    server.sendall(bytes(Frame(1, RESPONSE, 0, body)))
    with pytest.raises(RemoteProtocolError, match="/Echo: response is not protobuf"):
        client.call(ECHO["Echo"], HI)


def test_it_reads_while_it_writes(pair: tuple[Client, socket.socket]) -> None:
    """Otherwise both sides wait while the server writes until it is read."""
    client, server = pair
    flood = bytes(Frame(99, RESPONSE, 0, bytes(4 << 20)))
    answer = bytes(Frame(1, RESPONSE, 0, b""))

    def serve() -> None:
        server.sendall(flood + answer)

    thread = threading.Thread(target=serve)
    thread.start()
    request = BytesValue(value=bytes(1 << 20))
    assert client.call(ECHO["Echo"], request, timeout=10) == BytesValue()
    thread.join()


def test_an_empty_wake_up_is_no_end(pair: tuple[Client, socket.socket]) -> None:
    """poll may say that there is something when there is nothing (man 2 select)."""
    client, server = pair
    client._session._read()
    server.sendall(bytes(Frame(1, RESPONSE, 0, b"")))
    assert client.call(ECHO["Cancelled"], Empty()).value == 0


def test_a_deadline_covers_several_calls(client: Client) -> None:
    deadline = Deadline.after(600, clock=time.monotonic)
    left = [
        client.call(ECHO["Deadline"], Empty(), deadline=deadline).value
        for _ in range(2)
    ]
    assert 600 * SECOND > left[0] > left[1] > 0
    passed = Deadline.after(0, clock=time.monotonic)
    with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
        client.open_stream(ECHO["EchoStream"], deadline=passed)


def test_calls_have_the_clients_timeout(our_server: str) -> None:
    second = UInt64Value(value=SECOND)
    with Client.connect(f"unix://{our_server}", call_timeout=0.01) as client:
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            client.call(ECHO["Sleep"], second)
        with (
            pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "),
            client.open_stream(ECHO["EchoStream"]) as stream,
        ):
            stream.recv()
        answer = client.call(ECHO["Deadline"], Empty(), timeout=math.inf)
        assert answer.value == -1


@pytest.mark.parametrize("timeout", [math.nan, -1])
def test_a_default_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match=f"^timeout {timeout}: "):
        Client(ours, timeout=timeout)
    with pytest.raises(ValueError, match=f"^call_timeout {timeout}: "):
        Client.connect("unix://@nobody", call_timeout=timeout)


def test_a_hook_that_ends_the_program_leaves_no_connection() -> None:
    ours, theirs = socket.socketpair()
    ended: list[Closed] = []
    with ours, theirs, pytest.raises(SystemExit):
        Client(ours, connected=sys.exit, disconnected=ended.append)
    assert ours.fileno() == -1
    assert [str(cause) for cause in ended] == ["connection: closed on this side"]
