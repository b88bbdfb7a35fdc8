# SPDX-License-Identifier: Apache-2.0
"""A mistake of a program is an error where it is made, on both clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, StringValue, UInt64Value

import ttrpc.aio
import ttrpc.sync
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO
from ttrpc import Closed, Code, StatusError
from ttrpc.aio import Server
from ttrpc.aio.testing import connected

HI: Final = BytesValue(value=b"hi")
Use = Callable[[Any], Any]


def with_asyncio(use: Use, **options: Any) -> None:
    async def program() -> None:
        async with connected(Server(services()), **options) as client:
            result = use(client)
            if isinstance(result, Awaitable):
                await result

    asyncio.run(program())


def without(use: Use, **options: Any) -> None:
    ours, theirs = socket.socketpair()
    with theirs, ttrpc.sync.Client(ours, **options) as client:
        use(client)


BOTH: Final = pytest.mark.parametrize("run", [with_asyncio, without])


MISTAKES: Final[dict[str, tuple[Use, type[Exception], str]]] = {
    "call of a stream": (
        lambda it: it.call(ECHO["EchoStream"], HI),
        ValueError,
        "/peer.v1.Echo/EchoStream: streams; use open_stream",
    ),
    "stream of a unary method": (
        lambda it: it.open_stream(ECHO["Echo"], HI),
        ValueError,
        "/peer.v1.Echo/Echo: is unary; use call",
    ),
    "another request": (
        lambda it: it.call(ECHO["Echo"], StringValue(value="x")),
        TypeError,
        "/peer.v1.Echo/Echo: StringValue is not google.protobuf.BytesValue",
    ),
    "no message": (
        lambda it: it.call(ECHO["Echo"], b"hi"),
        TypeError,
        "/peer.v1.Echo/Echo: bytes is not google.protobuf.BytesValue",
    ),
    "another request of a stream": (
        lambda it: it.open_stream(ECHO["Download"], HI),
        TypeError,
        "/peer.v1.Echo/Download: BytesValue is not google.protobuf.UInt64Value",
    ),
}


@BOTH
@pytest.mark.parametrize(("use", "kind", "text"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_call(run: Any, use: Use, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        run(use)
    assert str(caught.value) == text


def test_a_wrong_message_of_a_stream() -> None:
    async def send(client: ttrpc.aio.Client) -> None:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            await stream.send(StringValue(value="x"))

    def send_blocking(client: ttrpc.sync.Client) -> None:
        with client.open_stream(ECHO["EchoStream"]) as stream:
            stream.send(StringValue(value="x"))

    for run, use in ((with_asyncio, send), (without, send_blocking)):
        with pytest.raises(TypeError, match="EchoStream: StringValue is not google"):
            run(use)  # type: ignore[operator]  # the two take different clients


async def returns_nothing(request: Any, context: Any, proceed: Any) -> None:
    await proceed(request, context)


def forgets_return(request: Any, context: Any, proceed: Any) -> None:
    pass


async def returns_another(request: Any, context: Any, proceed: Any) -> Any:
    return StringValue(value="x")


@pytest.mark.parametrize(
    ("interceptor", "text"),
    [
        (returns_nothing, "/peer.v1.Echo/Echo: interceptor returned nothing, not the"),
        (forgets_return, "interceptor forgets_return: returned nothing"),
        (returns_another, "/peer.v1.Echo/Echo: interceptor returned StringValue, not"),
    ],
)
async def test_an_interceptor_that_returns_no_response(
    interceptor: Any, text: str
) -> None:
    async with connected(Server(services()), interceptors=[interceptor]) as client:
        with pytest.raises(TypeError, match=f"^{text}"):
            await client.call(ECHO["Echo"], HI)
    async with connected(Server(services(), interceptors=[interceptor])) as client:
        with pytest.raises(StatusError, match=r"^UNKNOWN: .*interceptor.* returned "):
            await client.call(ECHO["Echo"], HI)


async def test_an_interceptor_that_returns_no_stream() -> None:
    options: Any = {"interceptors": [returns_nothing]}
    async with connected(Server(services()), **options) as client:
        with pytest.raises(TypeError, match="EchoStream: interceptor returned nothing"):
            await client.open_stream(ECHO["EchoStream"])


def test_an_interceptor_of_the_blocking_client() -> None:
    options: Any = {"interceptors": [lambda *_: StringValue(value="x")]}
    with pytest.raises(TypeError, match="Echo: interceptor returned StringValue, not"):
        without(lambda it: it.call(ECHO["Echo"], HI), **options)


async def test_sockets_that_cannot_serve() -> None:
    server = Server(services())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for use in (server.serve_connection, ttrpc.aio.Client, ttrpc.sync.Client):
            with pytest.raises(ValueError, match="is not SOCK_STREAM"):
                use(ours)
        with pytest.raises(ValueError, match="is not SOCK_STREAM"):
            await server.listen(ours)
        assert ours.fileno() >= 0


@contextlib.asynccontextmanager
async def hung_up() -> AsyncIterator[ttrpc.aio.Client]:
    ours, theirs = socket.socketpair()
    theirs.close()
    async with ttrpc.aio.Client(ours) as client:
        yield client


async def test_a_lost_connection_is_a_connection_error_with_a_code() -> None:
    async with hung_up() as client:
        with pytest.raises(ConnectionError) as caught:
            await client.call(ECHO["Len"], HI)
    assert isinstance(caught.value, Closed)
    assert caught.value.code is Code.UNAVAILABLE
    assert str(caught.value).startswith("connection: ")
    assert UInt64Value is ECHO["Len"].response_type
