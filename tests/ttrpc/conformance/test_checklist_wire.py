# SPDX-License-Identifier: Apache-2.0
"""The checks of the Rust, Swift and other Python implementations' tests: the wire,
addresses, the end of a server, hooks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value
from hypothesis import given
from hypothesis import strategies as st

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, LIMIT, SECOND, echo, nap, wait_for
from tests.helpers.probe import filled
from tests.helpers.wire import CLOSED, HEADER, REQUEST, Frame, Wire, data, request
from ttrpc import (
    CallContext,
    Closed,
    Code,
    Metadata,
    Peer,
    StatusError,
    bind,
    parse_address,
)
from ttrpc.address import CID_ANY, UnixAddress, VsockAddress
from ttrpc.aio import Client, Server, ServerStream
from ttrpc.envelope import encode_request, request_head
from ttrpc.envelope_pb2 import KeyValue, Request
from ttrpc.frame import Frame as OurFrame
from ttrpc.sync import Client as SyncClient


@given(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=100),
)
def test_30_header_bytes(stream_id: int, kind: int, flags: int, body: bytes) -> None:
    frame = OurFrame(stream_id, kind, flags, body)
    assert frame.serialize() == HEADER.pack(len(body), stream_id, kind, flags) + body
    assert OurFrame.parse(frame.serialize()) == frame


@given(
    st.text(max_size=20),
    st.text(max_size=20),
    st.binary(max_size=300),
    st.integers(0, 2**63 - 1),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
)
def test_31_a_request_is_encoded_as_protobuf_does(
    service: str,
    method: str,
    payload: bytes,
    timeout_nano: int,
    metadata: list[tuple[str, str]],
) -> None:
    head = request_head(service, method)
    expected = Request(
        service=service,
        method=method,
        payload=payload,
        timeout_nano=timeout_nano,
        metadata=[KeyValue(key=key, value=value) for key, value in metadata],
    )
    encoded = b"".join(encode_request(head, payload, timeout_nano, metadata))
    assert encoded == expected.SerializeToString()


@pytest.mark.parametrize("over", [1, 4096, LIMIT])
def test_32_a_body_over_the_limit_is_consumed(our_server: str, over: int) -> None:
    with Wire(our_server) as wire:
        wire.send(filled("Len", LIMIT + over), request(3, "Echo"))
        refused, answered = wire.receive_many(2)
    assert refused.response.status.code == Code.RESOURCE_EXHAUSTED
    assert f"{LIMIT + over}" in refused.response.status.message
    assert (answered.stream_id, answered.body) == (3, b"")


async def test_33_metadata_there_and_back(client: Client) -> None:
    context = CallContext(ECHO["Echo"], metadata=[("Key", "1"), ("key", "2")])
    context.metadata.add("KEY", "3")
    assert context.metadata == Metadata([("key", "1"), ("key", "2"), ("key", "3")])
    assert context.deadline is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/a.sock", UnixAddress("/run/a.sock")),
        ("unix://@/run/b.sock", UnixAddress("@/run/b.sock")),
        ("vsock://8:1024", VsockAddress(8, 1024)),
        ("vsock://-1:1024", VsockAddress(CID_ANY, 1024)),
        ("vsock://4294967295:1024", VsockAddress(CID_ANY, 1024)),
    ],
)
def test_34_addresses(text: str, address: object) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["Vsock://8:1024", "abc://x", "/run/a.sock", "vsock://8", "vsock://8:x"]
)
def test_34_no_addresses(text: str) -> None:
    """Nor is a TCP address: ttrpc has no encryption and no authentication."""
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


async def test_35_many_may_wait_for_the_end(server: Server, address: str) -> None:
    async with await Client.connect(address) as client:
        call = asyncio.ensure_future(nap(client, 0.1))
        await wait_for(client, "Active", 1)
        waiting = [asyncio.ensure_future(server.wait_closed()) for _ in range(3)]
        shutdowns = [server.shutdown(10), server.shutdown(10)]
        assert await asyncio.gather(*shutdowns) == [True, True]
        await asyncio.gather(*waiting)
        await call


async def test_36_closing_the_server_stops_it(
    server: Server, address: str, tmp_path: Path
) -> None:
    server.close()
    await server.wait_closed()
    with pytest.raises(Closed, match=str(tmp_path)):
        await Client.connect(address)


async def test_37_a_call_with_20_ms(client: Client) -> None:
    with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
        await nap(client, 60, timeout=0.02)


async def test_37_a_method_without_a_handler(address: str) -> None:
    server = Server([bind(DESCRIPTOR.services_by_name["Echo"])])
    await server.listen(address)
    async with await Client.connect(address) as client:
        with pytest.raises(StatusError) as caught:
            await client.call(ECHO["Len"], BytesValue())
    assert (caught.value.code, caught.value.message) == (
        Code.UNIMPLEMENTED,
        "method Len",
    )
    server.close()
    await server.wait_closed()


async def test_37_an_empty_message_in_a_stream(client: Client) -> None:
    async with await client.open_stream(ECHO["EchoStream"]) as stream:
        await stream.send(BytesValue())
        assert await stream.recv() == BytesValue()


async def test_37_the_server_sends_unasked(address: str) -> None:
    class Unasked:
        async def echo_stream(
            self, stream: ServerStream[BytesValue, BytesValue], context: CallContext
        ) -> None:
            await stream.send(BytesValue(value=b"unasked"))
            assert await stream.recv() is None

    server = Server([bind(DESCRIPTOR.services_by_name["Echo"], Unasked())])
    await server.listen(address)
    async with await Client.connect(address) as client:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            assert (await stream.recv()) == BytesValue(value=b"unasked")
            await stream.close_send()
            assert await stream.recv() is None
    server.close()
    await server.wait_closed()


def test_37_without_an_event_loop(our_server: str) -> None:
    with SyncClient.connect(f"unix://{our_server}") as client:
        assert client.call(ECHO["Echo"], BytesValue(value=b"x")).value == b"x"
        with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
            client.call(ECHO["Sleep"], UInt64Value(value=60 * SECOND), timeout=0.02)


async def test_38_each_peer_is_authorized_once(address: str) -> None:
    """Rust's hook for accepted connections; ours cannot transform payloads."""
    asked: list[Peer] = []

    def allow(peer: Peer) -> bool:
        asked.append(peer)
        return True

    server = Server(services(), authorize=allow)
    await server.listen(address)
    async with await Client.connect(address) as client:
        for _ in range(3):
            await echo(client, b"x")
    assert len(asked) == 1
    server.close()
    await server.wait_closed()


async def test_38_a_refused_peer_is_hung_up_on(address: str) -> None:
    server = Server(services(), authorize=lambda peer: False)
    await server.listen(address)
    client = await Client.connect(address)
    with pytest.raises(Closed):
        await echo(client, b"x")
    await client.close()
    assert server.connections == 0
    server.close()
    await server.wait_closed()


def test_40_the_reserved_byte(our_server: str) -> None:
    """The top byte of the length: with it, any frame is over the limit."""
    with Wire(our_server) as wire:
        wire.send(HEADER.pack(0x01000000, 1, REQUEST, 0), bytes(0x01000000))
        wire.send(request(3, "Echo"))
        refused, answered = wire.receive_many(2)
    assert refused.response.status.code == Code.RESOURCE_EXHAUSTED
    assert answered.stream_id == 3


def test_41_a_partial_header_and_many_frames_at_once(our_server: str) -> None:
    calls = b"".join(bytes(request(i, "Echo")) for i in range(1, 2001, 2))
    with Wire(our_server) as wire:
        wire.send(calls[:5])
        with Wire(our_server) as other:
            other.send(request(1, "Echo"))
            assert other.receive() is not None
        wire.send(calls[5:])
        answers = wire.receive_many(1000)
    assert [frame.stream_id for frame in answers] == [*range(1, 2001, 2)]


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (1, 2, "StreamID must be odd for client initiated streams"),
        (1, 0, "StreamID must be odd for client initiated streams"),
        (5, 5, "StreamID cannot be re-used and must increment"),
        (5, 3, "StreamID cannot be re-used and must increment"),
    ],
)
def test_42_stream_ids(our_server: str, first: int, second: int, text: str) -> None:
    with Wire(our_server) as wire:
        wire.send(request(first, "Echo"), request(second, "Echo"), request(7, "Echo"))
        answers = {frame.stream_id: frame for frame in wire.receive_many(3)[1:]}
    assert answers[second].response.status.code == Code.INVALID_ARGUMENT
    assert answers[second].response.status.message == text
    assert answers[7].body == b""


def test_43_an_oversized_frame_on_a_stream_ends_that_stream(our_server: str) -> None:
    with Wire(our_server) as wire:
        wire.send(request(1, "EchoStream", flags=2), data(1, bytes(LIMIT + 1)))
        wire.send(request(3, "Echo"))
        refused, answered = wire.receive_many(2)
    assert refused.response.status.code == Code.RESOURCE_EXHAUSTED
    assert answered.stream_id == 3


def test_45_sizes_from_nothing_to_the_limit(our_server: str) -> None:
    with Wire(our_server) as wire:
        sizes = (0, 1, 9, 10, 11, 4095, 4096, 16383, 16384, 16385, 1 << 20)
        for stream_id, size in zip(range(1, 99, 2), sizes, strict=False):
            value = bytes(size)
            wire.send(request(stream_id, "Echo", BytesValue(value=value)))
            answer = wire.receive()
            assert answer is not None
            assert BytesValue.FromString(answer.response.payload).value == value
        wire.send(filled("Len", LIMIT, 99))
        answer = wire.receive()
        assert answer is not None
        assert not answer.response.HasField("status")


def test_45_the_largest_response(our_server: str) -> None:
    with Wire(our_server) as wire:
        # Eight bytes of envelopes: two tags, and lengths of three and four bytes.
        for stream_id, size in ((1, LIMIT - 10), (3, LIMIT - 9)):
            wire.send(request(stream_id, "Make", UInt64Value(value=size)))
        fits, over = wire.receive_many(2)
    assert len(fits.body) == LIMIT
    assert over.response.status.code == Code.RESOURCE_EXHAUSTED


async def test_45_shutdown_while_a_response_is_on_its_way(address: str) -> None:
    """Every answer reaches the client, however slowly it reads."""
    server = Server(services())
    await server.listen(address)
    calls = [request(i, "Make", UInt64Value(value=LIMIT // 2)) for i in (1, 3, 5)]

    loop = asyncio.get_running_loop()
    down: list[asyncio.Future[bool]] = []

    async def begin() -> None:
        down.append(asyncio.ensure_future(server.shutdown(10)))

    def talk() -> list[Frame]:
        with Wire(address.removeprefix("unix://")) as wire:
            wire.send(*calls)
            first = wire.receive()
            assert first is not None
            asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
            rest = wire.receive_many(2)
            assert wire.receive() is None
        return [first, *rest]

    answers = await loop.run_in_executor(None, talk)
    assert [frame.stream_id for frame in answers] == [1, 3, 5]
    assert all(len(frame.response.payload) > LIMIT // 2 for frame in answers)
    assert await down[0]


def test_a_unary_flag_changes_nothing(our_server: str) -> None:
    with Wire(our_server) as wire:
        wire.send(request(1, "Cancelled", Empty(), flags=CLOSED))
        answer = wire.receive()
        assert answer is not None
        assert not answer.response.HasField("status")
