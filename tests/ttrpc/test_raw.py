# SPDX-License-Identifier: Apache-2.0
"""Methods whose messages are bytes, and handlers of methods that are not known."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, StringValue

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, echo
from ttrpc import (
    BoundService,
    CallContext,
    Cardinality,
    Code,
    Method,
    Raw,
    Service,
    StatusError,
    sync,
)
from ttrpc.aio import Server
from ttrpc.aio.testing import connected

HI = BytesValue(value=b"hi")
BYTES = HI.SerializeToString()
UNARY, DOWN, UP, BOTH = Cardinality


def raw(name: str, cardinality: Cardinality = UNARY) -> Method[Raw, Raw]:
    return Method.raw("peer.v1.Echo", name, cardinality)


def test_its_methods_are_those_of_a_message() -> None:
    assert Raw.FromString(memoryview(b"hi")) == Raw(b"hi") == b"hi"
    assert Raw(b"hi").SerializeToString() == b"hi"
    assert raw("Echo").is_raw
    assert not ECHO["Echo"].is_raw


async def test_a_client_needs_no_proto_file() -> None:
    async with connected(Server(services())) as client:
        assert await client.call(raw("Echo"), Raw(BYTES)) == BYTES
        async with client.open_stream(raw("EchoStream", BOTH)) as stream:
            await stream.send(Raw(BYTES))
            await stream.close_send()
            assert [it async for it in stream] == [BYTES]
            assert stream.answer is None
        async with client.open_stream(raw("Upload", UP)) as stream:
            await stream.send(Raw(BYTES))
            assert await stream.response()
            assert stream.answer is None
        five = Int32Value(value=5).SerializeToString()
        with pytest.raises(StatusError, match="^NOT_FOUND: failed with 5$"):
            await client.call(raw("Fail"), Raw(five))
        with pytest.raises(TypeError, match="/Echo: bytes is not ttrpc.Raw$"):
            await client.call(raw("Echo"), BYTES)  # type: ignore[arg-type]  # a mistake


async def test_the_one_response_of_a_stream_is_told_apart() -> None:
    """The caller need not know that the server does not stream."""
    async with connected(Server(services())) as client:
        async with client.open_stream(raw("Upload", BOTH)) as stream:
            await stream.send(Raw(BYTES))
            await stream.close_send()
            assert await stream.recv() is None
            total = 1 << 32 | len(HI.value)
            assert stream.answer == b"\x08" + varint(total)


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def test_the_blocking_client_has_raw_methods_too(our_server: str) -> None:
    with sync.Client.connect(f"unix://{our_server}") as client:
        assert client.call(raw("Echo"), Raw(BYTES)) == BYTES
        with client.open_stream(raw("EchoNullNot", BOTH)) as stream:
            with pytest.raises(StatusError, match="^UNIMPLEMENTED: "):
                stream.recv()
        with client.open_stream(raw("Upload", BOTH)) as stream:
            stream.close_send()
            assert stream.recv() is None
            assert stream.answer == b""
        with client.open_stream(raw("EchoStream", BOTH)) as stream:
            stream.send(Raw(BYTES))
            assert stream.recv() == BYTES
            assert stream.answer is None


async def test_a_raw_method_is_served() -> None:
    def shout(request: Raw, context: CallContext) -> Raw:
        return Raw(request.upper())

    method = Method.raw("demo.Echo", "Shout")
    bound = BoundService(Service("demo.Echo", {"Shout": method}), {"Shout": shout})
    async with connected(Server([bound])) as client:
        assert await client.call(method, Raw(b"hi")) == b"HI"


async def everything(request: Any, context: CallContext) -> Any:
    """A fallback that tells what it got."""
    method = context.method
    if method.cardinality is UNARY:
        return Raw(f"{method.full_method} {request.decode()}".encode())
    async for message in request:
        await request.send(Raw(method.cardinality.name.encode() + message))
    return Raw(b"end") if method.name == "Sum" else None


async def test_methods_without_a_handler_have_the_fallback() -> None:
    server = Server(services(), fallback=everything)
    async with connected(server) as client:
        assert await echo(client, b"hi") == b"hi"
        unknown = (Method.raw("a.B", "C"), Method.raw("peer.v1.Echo", "New"))
        for method in unknown:
            answer = await client.call(method, Raw(b"hi"))
            assert answer == f"{method.full_method} hi".encode()
        down = Method.raw("a.B", "Down", DOWN)
        async with client.open_stream(down, Raw(b"-x")) as stream:
            assert [it async for it in stream] == [b"UNARY_STREAM-x"]
            assert stream.answer is None
        for name, end in (("Talk", None), ("Sum", b"end")):
            method = Method.raw("a.B", name, BOTH)
            async with client.open_stream(method) as stream:
                for text in (b"-1", b"-2"):
                    await stream.send(Raw(text))
                    assert await stream.recv() == b"STREAM_STREAM" + text
                await stream.close_send()
                assert await stream.recv() is None
                assert stream.answer == end
    assert server.counters.calls_refused == 0


async def test_a_fallback_may_be_a_plain_function_and_has_interceptors() -> None:
    seen: list[str] = []

    async def log(request: Any, context: CallContext, proceed: Any) -> Any:
        seen.append(context.method.full_method)
        return await proceed(request, context)

    def mirror(request: Raw, context: CallContext) -> Raw:
        return request

    for interceptors in ([], [log]):
        server = Server([], fallback=mirror, interceptors=interceptors)
        async with connected(server) as client:
            assert await client.call(ECHO["Echo"], HI) == HI
    assert seen == ["/peer.v1.Echo/Echo"]


async def test_a_fallback_has_to_return_bytes_too() -> None:
    async def wrong(request: Any, context: CallContext) -> Any:
        return StringValue(value="a message")

    async with connected(Server([], fallback=wrong)) as client:
        text = "^UNKNOWN: handler or interceptor returned StringValue, not "
        with pytest.raises(StatusError, match=text):
            await client.call(raw("Echo"), Raw())
        with pytest.raises(StatusError, match=text) as caught:
            async with client.open_stream(raw("EchoStream", BOTH)) as stream:
                await stream.recv()
    assert caught.value.code is Code.UNKNOWN
