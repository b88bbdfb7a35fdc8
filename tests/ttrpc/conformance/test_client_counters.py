# SPDX-License-Identifier: Apache-2.0
"""What the clients count; each call and stream ends once, whatever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, UInt64Value

import ttrpc.sync
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, LIMIT, echo, nap
from tests.helpers.wire import DATA, RESPONSE, Frame
from ttrpc import Cardinality, Closed, Code, Method, Peer, Raw, StatusError, TtrpcError
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected

HI = BytesValue(value=b"hi")
LOOP = Method.raw("demo.Any", "Loop", Cardinality.STREAM_STREAM)
MISSING: Method[Any, Any] = Method(
    "Missing", "peer.v1.Echo", ECHO["Echo"].cardinality, Empty, Empty
)


async def test_calls_are_counted_by_their_outcome() -> None:
    async with connected(Server(services())) as client:
        assert client.counters.calls == 0
        for _ in range(3):
            await echo(client, b"hi")
        for number in (5, 5, 99):
            with pytest.raises(StatusError):
                await client.call(ECHO["Fail"], Int32Value(value=number))
        with pytest.raises(StatusError):
            await client.call(MISSING, Empty())
        with pytest.raises(StatusError):
            await nap(client, 10, timeout=0.01)
        with pytest.raises(StatusError):
            await echo(client, bytes(LIMIT + 1))
        giving_up = asyncio.create_task(nap(client, 10))
        await echo(client, b"hi")
        counters = client.counters
        assert counters.calls == sum(counters.calls_ended.values()) + 1
        giving_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await giving_up
        counters = client.counters
        assert counters.calls_ended == {
            Code.OK: 4,
            Code.NOT_FOUND: 2,
            Code.UNKNOWN: 1,
            Code.UNIMPLEMENTED: 1,
            Code.DEADLINE_EXCEEDED: 1,
            Code.RESOURCE_EXHAUSTED: 1,
            Code.CANCELLED: 1,
        }
        assert counters.calls == sum(counters.calls_ended.values())
        assert (counters.connections, counters.connections_failed) == (1, 0)


async def test_both_sides_count_the_same_bytes() -> None:
    server = Server(services())
    ours, theirs = socket.socketpair()
    served = server.serve_connection(theirs)
    async with Client(ours) as client:
        await echo(client, bytes(100_000))
        here, there = client.counters, server.counters
        assert here.bytes_sent == there.bytes_received > 100_000
        assert here.bytes_received == there.bytes_sent > 100_000
    await served.wait_closed()
    # The sums stay when the connection has ended.
    assert client.counters.bytes_sent == here.bytes_sent


async def test_streams_are_counted_by_their_end() -> None:
    async def loop_back(stream: Any, context: Any) -> None:
        async for message in stream:
            if message == b"fail":
                raise StatusError(Code.ABORTED, "as asked")
            await stream.send(message)

    async with connected(Server([], fallback=loop_back)) as client:
        async with client.open_stream(LOOP) as stream:
            assert client.counters.calls_ended == {Code.OK: 0}
            await stream.close_send()
            assert await stream.recv() is None
        async with client.open_stream(LOOP) as stream:
            await stream.send(Raw(b"fail"))
            with pytest.raises(StatusError):
                await stream.recv()
        async with client.open_stream(LOOP) as stream:
            pass
        async with client.open_stream(LOOP, timeout=0.01) as stream:
            with pytest.raises(StatusError):
                await stream.recv()
        with pytest.raises(StatusError):
            await client.open_stream(LOOP, timeout=0)
        last = await client.open_stream(LOOP)
        await client.close()
        with pytest.raises(Closed):
            await last.recv()
        with pytest.raises(Closed):
            await client.open_stream(LOOP)
        counters = client.counters
    assert counters.calls == sum(counters.calls_ended.values()) == 7
    assert counters.calls_ended == {
        Code.OK: 1,
        Code.ABORTED: 1,
        Code.CANCELLED: 1,
        Code.DEADLINE_EXCEEDED: 2,
        Code.UNAVAILABLE: 2,
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Frame(1, RESPONSE, 0, b"\xff\xff"), Code.INTERNAL),
        (Frame(1, DATA, 0, b""), Code.INTERNAL),
        (Frame(1, RESPONSE, 0, b"\x12\x02\xff\xff"), Code.INTERNAL),
        (None, Code.UNAVAILABLE),
    ],
    ids=["no response", "data", "no message", "hung up"],
)
async def test_a_bad_peer_is_counted(answer: Frame | None, code: Code) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        async with Client(ours) as client:
            calling = asyncio.create_task(echo(client, b"hi"))
            await asyncio.sleep(0)
            if answer is None:
                theirs.close()
            else:
                theirs.send(bytes(answer))
            with pytest.raises(TtrpcError):
                await calling
            assert client.counters.calls_ended == {Code.OK: 0, code: 1}


async def test_a_client_tells_of_each_connection(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/a.sock"
    told: list[Any] = []
    server = Server(services())
    await server.listen(address)
    client = await Client.connect(
        address, reconnect=0, connected=told.append, disconnected=told.append
    )
    async with client:
        await echo(client, b"hi")
        assert told == [Peer(address)]
        first = client.counters.bytes_sent
        server.close()
        cause = await client.wait_closed()
        assert told[1:] == [cause]
        with pytest.raises(Closed):
            await echo(client, b"hi")
        async with Server(services()) as server:
            await server.listen(address)
            await echo(client, b"hi")
            assert told[2:] == [Peer(address)]
            await client.close()
    assert [type(it) for it in told] == [Peer, Closed, Peer, Closed]
    assert str(told[3]) == "connection: closed on this side"
    counters = client.counters
    assert (counters.connections, counters.connections_failed) == (2, 1)
    assert counters.calls_ended == {Code.OK: 2, Code.UNAVAILABLE: 1}
    assert counters.bytes_sent == 2 * first


async def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError

    ours, theirs = socket.socketpair()
    async with Server(services()) as server:
        server.serve_connection(theirs)
        async with Client(ours, connected=fail, disconnected=fail) as client:
            assert await echo(client, b"hi") == b"hi"
    assert caplog.messages == 2 * ["connection hook failed"]


# Without asyncio.


def test_a_blocking_client_counts_too(our_server: str) -> None:
    told: list[Any] = []
    client = ttrpc.sync.Client.connect(
        f"unix://{our_server}",
        timeout=10,
        connected=told.append,
        disconnected=told.append,
    )
    with client:
        client.call(ECHO["Echo"], HI)
        with pytest.raises(StatusError):
            client.call(ECHO["Fail"], Int32Value(value=5))
        with pytest.raises(StatusError):
            client.call(ECHO["Sleep"], UInt64Value(value=10**10), timeout=0.01)
        with client.open_stream(ECHO["EchoStream"]) as stream:
            stream.close_send()
            assert stream.recv() is None
        with client.open_stream(ECHO["EchoStream"]):
            pass
        with client.open_stream(ECHO["EchoStream"], timeout=0.01) as stream:
            with pytest.raises(StatusError):
                stream.recv()
        counters = client.counters
        assert counters.bytes_sent > 0 < counters.bytes_received
        left = client.open_stream(ECHO["EchoStream"])
    assert left is not None
    for use in uses_of(client):
        with pytest.raises(Closed):
            use()
    assert client.counters.calls_ended == {
        Code.OK: 2,
        Code.NOT_FOUND: 1,
        Code.DEADLINE_EXCEEDED: 2,
        Code.CANCELLED: 1,
        Code.UNAVAILABLE: 3,
    }
    assert client.counters.calls == 9
    assert client.counters.bytes_sent > counters.bytes_sent
    assert [type(it) for it in told] == [Peer, Closed]


def uses_of(client: ttrpc.sync.Client) -> list[Callable[[], object]]:
    return [
        lambda: client.call(ECHO["Echo"], HI),
        lambda: client.open_stream(ECHO["EchoStream"]),
    ]


def test_a_blocking_stream_that_cannot_be_opened_ends_once() -> None:
    """A peer that reads nothing: its request is never sent as a whole."""
    ours, theirs = socket.socketpair()
    method = Method.raw("demo.Any", "Loop", Cardinality.UNARY_STREAM)
    with theirs, ttrpc.sync.Client(ours) as client:
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            client.open_stream(method, Raw(bytes(LIMIT - 100)), timeout=0.05)
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            client.open_stream(method, Raw(b""), timeout=0.05)
        assert client.counters.calls == 2
        assert client.counters.calls_ended == {Code.OK: 0, Code.DEADLINE_EXCEEDED: 2}


async def test_a_probe_is_no_call() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        async with Client(ours, keepalive=0.05) as client:
            assert await asyncio.get_running_loop().sock_recv(theirs, 1000)
            assert client.counters.calls == 0
