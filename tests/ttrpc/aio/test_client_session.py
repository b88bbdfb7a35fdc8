# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO
from tests.helpers.wire import RESPONSE, Frame, close, data
from ttrpc.aio.client_session import ClientSession
from ttrpc.client_record import ClientRecord
from ttrpc.envelope_pb2 import Response
from ttrpc.errors import Closed, OversizedMessage, StreamFull
from ttrpc.limits import Limits

PATIENCE = 10.0
LIMITS = Limits(message=100_000, held=50_000, held_per_connection=50_000)
Pair = tuple[ClientSession, socket.socket]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A session, and the socket of a server which does nothing by itself."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    session = ClientSession(ours, LIMITS, None, ClientRecord(None, None))
    with theirs:
        yield session, theirs
        session.transport.close("the test is over")


async def send(server: socket.socket, *frames: Frame) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(server, b"".join(map(bytes, frames)))


def response(stream_id: int, payload: bytes) -> Frame:
    body = Response(payload=payload).SerializeToString()
    return Frame(stream_id, RESPONSE, 0, body)


async def test_answers_find_their_calls_in_any_order(pair: Pair) -> None:
    session, server = pair
    calls = [
        asyncio.ensure_future(session.call(ECHO["Echo"], b"", 0, ())) for _ in range(3)
    ]
    await asyncio.sleep(0)
    await send(server, response(5, b"c"), response(1, b"a"), response(3, b"b"))
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*calls) == [b"a", b"b", b"c"]


async def test_a_cancelled_call_is_forgotten(pair: Pair) -> None:
    session, server = pair
    call = asyncio.ensure_future(session.call(ECHO["Echo"], b"", 0, ()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not session.connection.calls
    await send(server, response(1, b"late"), response(3, b"next"))
    assert await session.call(ECHO["Echo"], b"", 0, ()) == b"next"


async def test_a_request_over_the_limit_leaves_nothing_behind(pair: Pair) -> None:
    session, _ = pair
    with pytest.raises(OversizedMessage):
        await session.call(ECHO["Echo"], bytes(LIMITS.message), 0, ())
    with pytest.raises(OversizedMessage):
        session.open_stream(ECHO["Download"], bytes(LIMITS.message), 0, ())
    assert not session.connection.outbox.size
    assert not session.connection.streams


async def test_the_end_of_the_connection_ends_all(pair: Pair) -> None:
    session, server = pair
    call = asyncio.ensure_future(session.call(ECHO["Echo"], b"", 0, ()))
    stream, inbox = session.open_stream(ECHO["EchoStream"], b"", 0, ())
    await asyncio.sleep(0)
    await send(server, data(1, BytesValue(value=b"hi")))
    server.close()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Closed, match="^connection: "):
            await call
    assert stream.is_closed
    assert len(inbox.messages) == 1, "a message that had arrived can still be read"
    for use in (
        session.check_connected,
        lambda: session.open_stream(ECHO["EchoStream"], b"", 0, ()),
    ):
        with pytest.raises(Closed, match="^connection: "):
            use()


async def test_a_deadline_ends_a_stream_with_its_error(pair: Pair) -> None:
    session, _ = pair
    stream, inbox = session.open_stream(ECHO["EchoStream"], b"", 0, ())
    error = StreamFull("late")
    session.expire_at(asyncio.get_running_loop().time(), stream, error)
    async with asyncio.timeout(PATIENCE):
        while not stream.is_closed:
            await asyncio.sleep(0)
    with pytest.raises(StreamFull, match="^late$"):
        inbox.check()


async def test_a_stream_is_abandoned_once(pair: Pair) -> None:
    session, server = pair
    stream, _ = session.open_stream(ECHO["EchoStream"], b"", 0, ())
    session.transport.cork.flush()
    server.recv(1000)
    session.abandon(stream)
    session.abandon(stream)
    await asyncio.sleep(0)
    assert server.recv(1000) == bytes(close(1))


async def test_a_response_that_found_no_room_ends_its_call_as_too_slow(
    pair: Pair,
) -> None:
    """Other streams use up the connection's share; the response must not vanish."""
    session, server = pair
    hoard, _ = session.open_stream(ECHO["EchoStream"], b"", 0, ())
    stream, inbox = session.open_stream(ECHO["Upload"], b"", 0, ())
    await send(server, data(hoard.stream_id, bytes(60_000)))
    payload = UInt64Value(value=1).SerializeToString() + bytes(5_000)
    await send(server, response(stream.stream_id, payload))
    async with asyncio.timeout(PATIENCE):
        while not stream.is_closed:
            await asyncio.sleep(0)
    with pytest.raises(StreamFull, match="/Upload: its reader is too slow$"):
        inbox.check()
    assert not inbox.messages


def test_a_task_that_ends_the_program_leaves_the_others_their_answers() -> None:
    """Whoever catches SystemExit may run the loop again, to clean up for example."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.new_event_loop()

    async def begin() -> list[asyncio.Task[bytes]]:
        session = ClientSession(ours, LIMITS, None, ClientRecord(None, None))

        async def ends() -> bytes:
            await session.call(ECHO["Echo"], b"", 0, ())
            raise SystemExit(3)

        calls = [session.call(ECHO["Echo"], b"", 0, ()) for _ in range(2)]
        tasks = [loop.create_task(task) for task in (ends(), *calls)]
        while len(session.connection.calls) < 3:
            await asyncio.sleep(0)
        return tasks

    with theirs, contextlib.closing(loop):
        first, *others = loop.run_until_complete(begin())
        answers = [response(stream_id, b"a") for stream_id in (1, 3, 5)]
        theirs.sendall(b"".join(map(bytes, answers)))
        with pytest.raises(SystemExit):
            loop.run_until_complete(others[1])
        assert isinstance(first.exception(), SystemExit)
        for task in others:
            wait = asyncio.wait_for(task, PATIENCE)
            assert loop.run_until_complete(wait) == b"a"
