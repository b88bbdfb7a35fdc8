# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO
from tests.helpers.wire import OPEN, request
from ttrpc import (
    BoundService,
    CallContext,
    Code,
    Limits,
    LocalProtocolError,
    OversizedMessage,
    Service,
    StatusError,
    StreamClosed,
)
from ttrpc.aio import Server
from ttrpc.aio.testing import connected
from ttrpc.bound_service import Handler

PATIENCE = 10.0
HI = BytesValue(value=b"hi")


def server_of(method: str, handler: Handler, **options: Any) -> Server:
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, {method: handler})], **options)


async def test_a_server_that_does_not_stream_returns_its_response() -> None:
    refused: list[str] = []

    async def upload(stream: Any, context: CallContext) -> UInt64Value:
        with pytest.raises(LocalProtocolError) as caught:
            await stream.send(UInt64Value())
        refused.append(str(caught.value))
        return UInt64Value(value=7)

    async with connected(server_of("Upload", upload)) as client:
        async with await client.open_stream(ECHO["Upload"]) as stream:
            assert (await stream.response()).value == 7
    assert refused == ["/peer.v1.Echo/Upload: the server does not stream"]


async def test_a_message_over_the_limit_is_not_sent_and_the_stream_goes_on() -> None:
    async def echo(stream: Any, context: CallContext) -> None:
        with pytest.raises(OversizedMessage):
            await stream.send(BytesValue(value=bytes(2000)))
        await stream.send(HI)

    server = server_of("EchoStream", echo, limits=Limits(message=1000))
    async with connected(server) as client:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            assert [message async for message in stream] == [HI]


async def test_an_invalid_message_ends_the_call_with_gos_text() -> None:
    async def echo(stream: Any, context: CallContext) -> None:
        await stream.recv()

    async with connected(server_of("EchoStream", echo)) as client:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            connection = client._session.connection
            connection.send_message(stream._stream, b"\xff")
            client._session.transport.cork.flush()
            with pytest.raises(StatusError) as caught:
                await stream.recv()
    assert caught.value.code is Code.INTERNAL
    assert caught.value.message.startswith("ttrpc: error unmarshalling payload: ")


async def test_a_stream_that_outlives_its_handler_is_of_no_use() -> None:
    kept: list[Any] = []

    async def echo(stream: Any, context: CallContext) -> None:
        kept.append(stream)

    async with connected(server_of("EchoStream", echo)) as client:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            assert await stream.recv() is None
        for use in (kept[0].send(HI), kept[0].recv()):
            with pytest.raises(StreamClosed, match="^stream 1: its handler has return"):
                await use


async def test_a_send_waits_while_the_client_does_not_read() -> None:
    """The send goes on when the client reads again, and ends with the connection."""
    sent: list[int] = []
    ended = asyncio.Event()

    async def flood(stream: Any, context: CallContext) -> None:
        try:
            while True:
                await stream.send(BytesValue(value=bytes(100_000)))
                sent.append(1)
        finally:
            ended.set()

    server = server_of(
        "EchoStream", flood, limits=Limits(queued_per_connection=1 << 20)
    )
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    server.serve_connection(theirs)
    (session,) = server._sessions
    with ours:
        ours.sendall(bytes(request(1, "EchoStream", flags=OPEN)))
        async with asyncio.timeout(PATIENCE):
            while not session.transport.is_full:
                await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)
            waiting = len(sent)
            while len(sent) < waiting + 10:
                with contextlib.suppress(BlockingIOError):
                    ours.recv(1 << 20)
                await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
        await server.wait_closed()
    assert waiting < 10, "at most what the socket and the queue take"
