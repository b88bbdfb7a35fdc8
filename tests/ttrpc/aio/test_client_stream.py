# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from tests.helpers.wire import RESPONSE, Frame, data
from ttrpc import Closed, Code, Limits, StatusError, StreamFull
from ttrpc.aio import Client, ClientStream
from ttrpc.envelope_pb2 import Response, Status

BIG = BytesValue(value=bytes(1 << 20))
SMALL_QUEUE = Limits(queued_per_connection=1 << 20)

Stream = ClientStream[BytesValue, BytesValue]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's socket and that of a server which does nothing by itself."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def fill(stream: Stream) -> asyncio.Task[None]:
    """Send until the server leaves too much unread; return the send that waits."""
    while True:
        send = asyncio.ensure_future(stream.send(BIG))
        await asyncio.sleep(0)
        if not send.done():
            return send
        await send


async def test_a_deadline_ends_a_send_that_waits(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """ttrpc-rust's timeouts do not cover sending (its issues 317 and 318)."""
    async with Client(pair[0], limits=SMALL_QUEUE) as client:

        async def send() -> None:
            await (
                await fill(await client.open_stream(ECHO["EchoStream"], timeout=0.1))
            )

        async with asyncio.timeout(10):
            with pytest.raises(StatusError) as caught:
                await send()
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_the_servers_error_ends_a_send_that_waits(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    async with Client(pair[0], limits=SMALL_QUEUE) as client:
        stream = await client.open_stream(ECHO["EchoStream"])
        send = await fill(stream)
        status = Status(code=Code.ABORTED, message="enough")
        body = Response(status=status).SerializeToString()
        pair[1].sendall(bytes(Frame(1, RESPONSE, 0, body)))
        async with asyncio.timeout(10):
            with pytest.raises(StatusError, match="ABORTED: enough"):
                await send


async def test_the_end_of_the_connection_ends_a_send_that_waits(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    async with Client(pair[0], limits=SMALL_QUEUE) as client:
        send = await fill(await client.open_stream(ECHO["EchoStream"]))
        pair[1].close()
        async with asyncio.timeout(10):
            with pytest.raises(Closed, match="connection: "):
                await send


async def test_a_cancelled_send_has_sent_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    async with Client(pair[0], limits=SMALL_QUEUE) as client:
        stream = await client.open_stream(ECHO["EchoStream"])
        send = await fill(stream)
        outbox = client._session.connection.outbox
        before = outbox.size
        send.cancel()
        with pytest.raises(asyncio.CancelledError):
            await send
        assert outbox.size == before


async def test_the_unread_bytes_of_all_streams_are_bounded(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A server may fill every stream that a client opens."""
    limits = Limits(held_per_connection=1_000_000, held=1 << 30)
    loop = asyncio.get_running_loop()
    pair[1].setblocking(False)
    async with Client(pair[0], limits=limits) as client:
        streams = [await client.open_stream(ECHO["EchoStream"]) for _ in range(50)]
        message = BytesValue(value=bytes(100_000))
        for number in range(len(streams)):
            await loop.sock_sendall(pair[1], bytes(data(2 * number + 1, message)))
        outcomes = []
        for stream in streams:
            try:
                outcomes.append(await stream.recv())
            except StreamFull:
                outcomes.append(None)
        fitted = [outcome for outcome in outcomes if outcome is not None]
        assert fitted == 11 * [message], "over by one at most"
