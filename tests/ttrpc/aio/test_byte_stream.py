# SPDX-License-Identifier: Apache-2.0
"""A client and a server over streams that are no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.memory_stream import MemoryStream, memory_pair
from tests.helpers.peer import ECHO, LIMIT, echo, nap
from ttrpc import CallContext, Cardinality, Closed, Method, Peer, Raw
from ttrpc.aio import ByteStream, Client, Server, ServerStream

PATIENCE = 20.0
LOOP = Method.raw("demo.Any", "Loop", Cardinality.STREAM_STREAM)


async def loop_back(stream: ServerStream[Raw, Raw], context: CallContext) -> None:
    async for message in stream:
        await stream.send(message)


@asynccontextmanager
async def over(
    ours: ByteStream, theirs: ByteStream, server: Server | None = None
) -> AsyncIterator[Client]:
    """Give a client over one end, whose server has the other."""
    async with server or Server(services(), fallback=loop_back) as server:
        served = server.serve_connection(theirs)
        async with asyncio.timeout(PATIENCE), Client(ours) as client:
            yield client
        async with asyncio.timeout(PATIENCE):
            await served.wait_closed()


async def until_closed(*streams: MemoryStream) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all(stream.closed for stream in streams):
            await asyncio.sleep(0)
    assert [stream.closed for stream in streams] == [1] * len(streams)


@pytest.mark.parametrize(("piece", "room"), [(1, 1), (7, 3), (1 << 20, 1)])
async def test_calls_of_every_kind_work_in_any_pieces(piece: int, room: int) -> None:
    ours, theirs = memory_pair(piece, room)
    async with over(ours, theirs) as client:
        for size in (0, 1, 200):
            assert await echo(client, b"x" * size) == b"x" * size
        answers = await asyncio.gather(*(echo(client, b"%d" % n) for n in range(50)))
        assert answers == [b"%d" % n for n in range(50)]
        async with client.open_stream(LOOP) as stream:
            for n in range(20):
                await stream.send(Raw(b"%d" % n))
            await stream.close_send()
            assert [m async for m in stream] == [b"%d" % n for n in range(20)]
    await until_closed(ours, theirs)


async def test_large_messages_go_in_parts() -> None:
    """The stream never gets more at once than a buffer's worth."""
    ours, theirs = memory_pair(room=2)
    async with over(ours, theirs) as client:
        value = bytes(LIMIT - 100)
        assert await echo(client, value) == value
        for _ in range(3):
            answer: BytesValue = await client.call(
                ECHO["Make"], UInt64Value(value=3 << 20)
            )
            assert len(answer.value) == 3 << 20
    assert max(ours.most, theirs.most) <= 64 << 10


async def test_the_end_of_the_peer_is_the_end_of_the_connection() -> None:
    ours, theirs = memory_pair()
    async with Server(services()) as server:
        served = server.serve_connection(theirs)
        async with Client(ours) as client:
            assert await echo(client, b"hi") == b"hi"
            sleeping = asyncio.create_task(nap(client, 100))
            assert await echo(client, b"hi") == b"hi"
            served.close()
            with pytest.raises(Closed, match="^connection: closed by the peer$"):
                await sleeping
            assert str(client.closed) == "connection: closed by the peer"
        assert str(await served.wait_closed()) == "connection: closed by the server"
    await until_closed(ours, theirs)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset"),
        (ValueError("channel 3: bad packet"), "ValueError: channel 3: bad packet"),
        (KeyError(), "KeyError"),
    ],
)
async def test_an_error_of_the_stream_is_the_cause(error: Exception, text: str) -> None:
    """Also one that no socket raises."""
    ours, theirs = memory_pair()
    async with Server(services()) as server:
        served = server.serve_connection(theirs)
        async with Client(ours) as client:
            sleeping = asyncio.create_task(nap(client, 100))
            assert await echo(client, b"hi") == b"hi"
            ours.fail(error)
            with pytest.raises(Closed, match=f"^connection: receive failed: .*{text}"):
                await sleeping
        async with asyncio.timeout(PATIENCE):
            await served.wait_closed()
    await until_closed(ours, theirs)


class SendFails:
    """Takes nothing, and nothing comes."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive(self) -> bytes:
        return await asyncio.Future()

    async def send(self, data: bytes) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    def close(self) -> None:
        self.closed.set()


async def test_an_error_of_sending_ends_calls_too() -> None:
    """Also of a call that has been sent as a whole."""
    stream = SendFails()
    async with asyncio.timeout(PATIENCE), Client(stream) as client:
        with pytest.raises(Closed, match="Broken pipe"):
            await echo(client, b"hi")
        await stream.closed.wait()


async def test_a_peer_that_reads_nothing_is_not_waited_for() -> None:
    """The last bytes have a second; then the stream is closed all the same."""
    ours, theirs = memory_pair(piece=1000, room=1)
    async with asyncio.timeout(PATIENCE):
        async with Client(ours) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await echo(client, bytes(1 << 20))
        await until_closed(ours)
    theirs.close()


async def test_what_was_sent_before_the_end_arrives() -> None:
    """The client is closed while the stream still sends."""
    received = asyncio.Queue[bytes]()

    async def take(stream: ServerStream[Raw, Raw], context: CallContext) -> None:
        async for message in stream:
            received.put_nowait(message)

    ours, theirs = memory_pair(piece=100, room=1)
    async with Server([], fallback=take) as server:
        served = server.serve_connection(theirs)
        async with Client(ours) as client:
            stream = await client.open_stream(LOOP)
            await stream.send(Raw(bytes(10_000)))
            while not ours.most:  # As a socket, the stream has taken it now.
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            assert await received.get() == bytes(10_000)
            await served.wait_closed()


async def test_a_server_waits_for_the_answers_when_it_shuts_down() -> None:
    ours, theirs = memory_pair(piece=100, room=1)
    server = Server(services())
    async with over(ours, theirs, server) as client:
        making = asyncio.create_task(
            client.call(ECHO["MakeLater"], UInt64Value(value=100_000))
        )
        await echo(client, b"hi")
        assert await server.shutdown(PATIENCE)
        assert len((await making).value) == 100_000


async def test_a_stream_has_the_peer_that_is_given() -> None:
    """Never this process's own, as a pair of sockets has."""
    seen: list[Peer] = []

    def authorize(peer: Peer) -> bool:
        seen.append(peer)
        return peer.address == "ssh://host"

    server = Server(services(), authorize=authorize)
    for peer, expected in ((None, ""), (Peer("ssh://host"), "ssh://host")):
        ours, theirs = memory_pair()
        served = server.serve_connection(theirs, peer=peer)
        assert (served.peer.address, served.peer.credentials) == (expected, None)
        async with Client(ours) as client:
            if peer is None:
                assert str(served.closed) == "connection: not authorized"
                await client.wait_closed()
            else:
                assert await echo(client, b"hi") == b"hi"
        await until_closed(ours, theirs)
    assert [it.address for it in seen] == ["", "ssh://host"]
    server.close()


@pytest.mark.parametrize("wrong", [None, "unix:///a.sock", object(), 3])
async def test_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="is neither a socket nor a ByteStream$"):
        Client(wrong)
    with pytest.raises(TypeError, match="is neither a socket nor a ByteStream$"):
        Server([]).serve_connection(wrong)
