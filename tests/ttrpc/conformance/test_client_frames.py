# SPDX-License-Identifier: Apache-2.0
"""Our client's handling of every frame that a server may send."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO, LIMIT, echo
from tests.helpers.wire import (
    CLOSED,
    HEADER,
    NO_DATA,
    OPEN,
    REQUEST,
    RESPONSE,
    Frame,
    close,
    data,
)
from ttrpc import (
    Closed,
    Code,
    OversizedMessage,
    RemoteProtocolError,
    StatusError,
    StreamFull,
    TtrpcError,
)
from ttrpc.aio import Client, ClientStream
from ttrpc.envelope_pb2 import Response, Status

HI: Final = BytesValue(value=b"hi").SerializeToString()


class FakeServer:
    """The server's end of the client's connection, frame by frame."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)

    async def send(self, *frames: Frame | bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, b"".join(map(bytes, frames)))

    async def receive(self) -> Frame:
        length, stream_id, kind, flags = HEADER.unpack(await self._exactly(10))
        return Frame(stream_id, kind, flags, await self._exactly(length))

    async def _exactly(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = b""
        async with asyncio.timeout(10):
            while len(parts) < size:
                part = await loop.sock_recv(self.sock, size - len(parts))
                assert part, "closed"
                parts += part
        return parts


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[tuple[Client, FakeServer]]:
    near, far = socket.socketpair()
    with far:
        async with Client(near) as client:
            yield client, FakeServer(far)


Pair = tuple[Client, FakeServer]


def answer(stream_id: int, payload: bytes = HI, *, flags: int = 0) -> Frame:
    body = Response(payload=payload).SerializeToString()
    return Frame(stream_id, RESPONSE, flags, body)


def failure(stream_id: int, code: int, payload: bytes = b"") -> Frame:
    status = Status(code=code, message="text")
    body = Response(status=status, payload=payload).SerializeToString()
    return Frame(stream_id, RESPONSE, 0, body)


async def asked(pair: Pair) -> asyncio.Future[bytes]:
    """Make a call and wait until the server has read it."""
    client, server = pair
    call = asyncio.ensure_future(echo(client, b"hi"))
    assert (await server.receive()).type == REQUEST
    return call


async def opened(pair: Pair, name: str) -> ClientStream[Any, Any]:
    client, server = pair
    streams = ECHO[name].cardinality.client_streaming
    stream = await client.open_stream(ECHO[name], None if streams else UInt64Value())
    frame = await server.receive()
    assert frame.flags == (OPEN | NO_DATA if streams else CLOSED)
    return stream


OK: Final = {
    "plain": [answer(1)],
    "explicit_ok_status": [failure(1, 0, HI)],
    "flags_on_a_response": [answer(1, flags=0xFF)],
    "unknown_id_before": [answer(9, b"other"), answer(1)],
    "even_id_before": [answer(2, b"other"), answer(0, b""), answer(1)],
    "answered_twice": [answer(1), answer(1, b"\xff")],
    "data_for_a_later_stream": [data(7, b"x"), answer(1)],
    "oversized_for_nobody": [data(9, bytes(LIMIT + 1)), answer(1)],
}
"""Frames that answer a call."""


@pytest.mark.parametrize("name", OK)
async def test_44_answers(pair: Pair, name: str) -> None:
    call = await asked(pair)
    sending = asyncio.ensure_future(pair[1].send(*OK[name]))
    assert await call == b"hi"
    await sending
    again = asyncio.ensure_future(echo(pair[0], b"again"))
    await pair[1].receive()
    await pair[1].send(answer(3))
    assert await again == b"hi"


BAD: Final[dict[str, tuple[Frame, type[TtrpcError], str]]] = {
    "data": (data(1, HI), RemoteProtocolError, "'data'"),
    "unknown_type": (Frame(1, 9, 0, b""), RemoteProtocolError, "'unknown'"),
    "a_request": (Frame(1, REQUEST, 0, b""), RemoteProtocolError, "'unknown'"),
    "no_protobuf": (Frame(1, RESPONSE, 0, b"\xff"), RemoteProtocolError, "protobuf"),
    "payload_no_protobuf": (answer(1, b"\xff"), RemoteProtocolError, "protobuf"),
    "status": (failure(1, 5), StatusError, "NOT_FOUND: text"),
    "status_and_payload": (failure(1, 5, HI), StatusError, "NOT_FOUND: text"),
    "status_and_bad_payload": (failure(1, 5, b"\xff"), StatusError, "NOT_FOUND: text"),
    "unknown_code": (failure(1, 99), StatusError, "code 99: text"),
    "oversized": (Frame(1, RESPONSE, 0, bytes(LIMIT + 1)), OversizedMessage, "exceed"),
}
"""Frames that end a call with an error, and leave the connection as it is."""


@pytest.mark.parametrize("name", BAD)
async def test_errors(pair: Pair, name: str) -> None:
    frame, kind, text = BAD[name]
    call = await asked(pair)
    sending = asyncio.ensure_future(pair[1].send(frame))
    with pytest.raises(kind, match=text):
        await call
    await sending
    again = asyncio.ensure_future(echo(pair[0], b"again"))
    await pair[1].receive()
    await pair[1].send(answer(3))
    assert await again == b"hi"


async def test_a_status_text_is_shown_without_its_control_characters(
    pair: Pair,
) -> None:
    call = await asked(pair)
    status = Status(code=2, message="\x1b[2Jforged\nline")
    body = Response(status=status).SerializeToString()
    await pair[1].send(Frame(1, RESPONSE, 0, body))
    with pytest.raises(StatusError) as caught:
        await call
    assert caught.value.message == "\x1b[2Jforged\nline"
    assert str(caught.value) == "UNKNOWN: \\x1b[2Jforged\\nline"


@pytest.mark.parametrize("part", [b"", bytes(answer(1))[:5], bytes(answer(1))[:-1]])
async def test_the_connection_ends(pair: Pair, part: bytes) -> None:
    """Cut between frames, in a header or in a body: all calls fail, and later ones."""
    calls = [await asked(pair), await asked(pair)]
    await pair[1].send(part)
    pair[1].sock.close()
    for call in calls:
        with pytest.raises(Closed):
            await call
    with pytest.raises(Closed):
        await echo(pair[0], b"after")


STREAMS: Final[dict[str, tuple[list[Frame], list[bytes]]]] = {
    "messages": ([data(1, HI), data(1), close(1)], [b"hi", b""]),
    "last_message_closes": ([data(1, HI, CLOSED)], [b"hi"]),
    "closed_without_no_data": ([data(1, b"", CLOSED)], [b""]),
    "no_data": ([data(1, b"", NO_DATA), close(1)], []),
    "no_data_with_payload": ([data(1, HI, NO_DATA), close(1)], []),
    "ok_response": ([data(1, HI), answer(1, b"")], [b"hi"]),
    "ok_response_with_payload": ([data(1, HI), answer(1)], [b"hi", b"hi"]),
    "explicit_ok_status": ([data(1, HI), failure(1, 0)], [b"hi"]),
    "after_the_end": ([data(1, HI), close(1), data(1, b"\xff")], [b"hi"]),
}


@pytest.mark.parametrize("method", ["EchoStream", "Download"])
@pytest.mark.parametrize("name", STREAMS)
async def test_streams(pair: Pair, name: str, method: str) -> None:
    frames, messages = STREAMS[name]
    stream = await opened(pair, method)
    await pair[1].send(*frames)
    assert [message.value async for message in stream] == messages
    assert await stream.recv() is None


async def test_messages_before_an_error_come_first(pair: Pair) -> None:
    stream = await opened(pair, "Download")
    await pair[1].send(data(1, HI), failure(1, 10))
    assert await stream.recv() == BytesValue(value=b"hi")
    for _ in range(2):
        with pytest.raises(StatusError, match="ABORTED"):
            await stream.recv()


async def test_messages_before_the_connection_broke_come_first(pair: Pair) -> None:
    stream = await opened(pair, "Download")
    await pair[1].send(data(1, HI), b"\0\0")
    pair[1].sock.close()
    assert await stream.recv() == BytesValue(value=b"hi")
    with pytest.raises(Closed):
        await stream.recv()


async def test_data_from_a_server_that_has_one_response(pair: Pair) -> None:
    stream = await opened(pair, "Upload")
    await pair[1].send(data(1, HI))
    with pytest.raises(RemoteProtocolError, match="non-streaming"):
        await stream.response()


async def test_a_message_that_is_no_protobuf(pair: Pair) -> None:
    stream = await opened(pair, "Download")
    await pair[1].send(data(1, b"\xff"))
    with pytest.raises(RemoteProtocolError, match="protobuf"):
        await stream.recv()


async def test_abandoning_a_stream_closes_our_side(pair: Pair) -> None:
    """The protocol cannot cancel; the handler sees the end of the messages."""
    async with await opened(pair, "EchoStream"):
        pass
    assert await pair[1].receive() == close(1)


async def test_ids_are_odd_and_increase(pair: Pair) -> None:
    calls = [asyncio.ensure_future(echo(pair[0], b"x")) for _ in range(20)]
    frames = [await pair[1].receive() for _ in range(20)]
    assert [frame.stream_id for frame in frames] == [*range(1, 41, 2)]
    await pair[1].send(*(answer(frame.stream_id) for frame in reversed(frames)))
    assert await asyncio.gather(*calls) == [b"hi"] * 20


async def test_a_flood_for_unknown_streams_is_dropped(pair: Pair) -> None:
    call = await asked(pair)
    flood = [data(stream_id, bytes(1000)) for stream_id in range(3, 4003, 2)]
    sending = asyncio.ensure_future(pair[1].send(*flood, answer(1)))
    assert await call == b"hi"
    await sending


async def test_a_stream_that_is_not_read_is_bounded(pair: Pair) -> None:
    stream = await opened(pair, "Download")
    message = data(1, BytesValue(value=bytes(1 << 20)))
    call = asyncio.ensure_future(echo(pair[0], b"beside"))
    await pair[1].receive()
    sending = asyncio.ensure_future(pair[1].send(*[message] * 20, answer(3)))
    assert await call == b"hi"
    await sending
    with pytest.raises(StreamFull, match="too slow"):
        [message async for message in stream]


def test_codes_are_grpc_s() -> None:
    assert [code.value for code in Code] == [*range(17)]
