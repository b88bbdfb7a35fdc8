# SPDX-License-Identifier: Apache-2.0
"""The checks of Go's and Rust's own tests of streams, and their known faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR, Item, Part, Total
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, ITEMS, SECOND, echo, wait_for
from tests.helpers.wire import CLOSED, NO_DATA, OPEN, Wire, close, data, request
from ttrpc import (
    CallContext,
    Closed,
    Code,
    LocalProtocolError,
    StatusError,
    StreamClosed,
    bind,
)
from ttrpc.aio import Client, ClientStream, Server, ServerStream


async def echo_items(client: Client, count: int) -> None:
    async with await client.open_stream(ITEMS["EchoStream"]) as stream:
        for seq in range(count):
            await stream.send(Item(seq=seq, text="text"))
            assert await stream.recv() == Item(seq=seq + 1, text="text")
        await stream.close_send()
        assert await stream.recv() is None


async def test_17_a_stream_after_a_call(client: Client) -> None:
    assert await client.call(ITEMS["Echo"], Item(seq=1)) == Item(seq=2)
    await echo_items(client, 100)


async def test_18_a_handler_s_stream_ends_with_it(address: str) -> None:
    kept: list[ServerStream[BytesValue, BytesValue]] = []

    class Keeps:
        async def echo_stream(
            self, stream: ServerStream[BytesValue, BytesValue], context: CallContext
        ) -> None:
            kept.append(stream)

    server = Server([bind(DESCRIPTOR.services_by_name["Echo"], Keeps())])
    await server.listen(address)
    async with await Client.connect(address) as client:
        async with await client.open_stream(ECHO["EchoStream"]) as stream:
            assert await stream.recv() is None
        with pytest.raises(StreamClosed):
            await kept[0].recv()
        with pytest.raises(StreamClosed):
            await kept[0].send(BytesValue())
    server.close()
    await server.wait_closed()


async def test_19_an_unread_stream_blocks_no_other(client: Client) -> None:
    """More than any buffer of Go's: 64 messages."""
    async with await client.open_stream(ITEMS["EchoStream"]) as unread:
        for seq in range(1000):
            await unread.send(Item(seq=seq))
        assert await echo(client, b"beside") == b"beside"
        await echo_items(client, 10)
        await unread.close_send()
        assert [item.seq async for item in unread] == [*range(1, 1001)]


async def test_20_a_handler_that_does_not_read_blocks_no_other(client: Client) -> None:
    async with await client.open_stream(ECHO["Ignore"]) as full:
        # More than the 4 MiB that the server keeps for one stream.
        with pytest.raises(StatusError) as caught:
            await fill(full, client)
        assert caught.value.message == "data handling error: ttrpc: stream buffer full"
    await wait_for(client, "Active", 0)


async def fill(stream: ClientStream[Any, Any], client: Client) -> None:
    while True:
        await stream.send(BytesValue(value=bytes(100_000)))
        assert await echo(client, b"beside") == b"beside"


async def test_23_echo(client: Client) -> None:
    answer = await client.call(ITEMS["Echo"], Item(seq=1, text="one"))
    assert answer == Item(seq=2, text="one")


async def test_24_fifty_echoes(client: Client) -> None:
    await echo_items(client, 50)


async def test_25_empty_messages_count(client: Client) -> None:
    async with await client.open_stream(ITEMS["Sum"]) as stream:
        for add in (0, *range(-99, 101), 0):
            await stream.send(Part(add=add))
        assert await stream.response() == Total(sum=100, num=202)


async def test_26_divide(client: Client) -> None:
    request = Total(sum=392, num=30)
    async with await client.open_stream(ITEMS["Divide"], request) as stream:
        parts = [part.add async for part in stream]
    assert (len(parts), sum(parts)) == (30, 392)


async def test_27_an_empty_reply(client: Client) -> None:
    async with await client.open_stream(ITEMS["EchoNull"]) as stream:
        for seq in range(100):
            await stream.send(Item(seq=seq))
        assert await stream.response() == Empty()


async def test_28_ten_senders_on_one_stream(client: Client) -> None:
    async with (
        asyncio.timeout(10),
        await client.open_stream(ITEMS["EchoNullStream"]) as stream,
    ):
        for seq in range(100):
            await stream.send(Item(seq=seq))
        await stream.close_send()
        assert [message async for message in stream] == [Empty()] * 1000


async def test_29_an_empty_request(client: Client) -> None:
    async with await client.open_stream(ITEMS["EmptyPayload"], Empty()) as stream:
        assert [item.seq async for item in stream] == [1, 2]


async def test_39_nothing_is_sent_after_the_end(client: Client) -> None:
    async with await client.open_stream(ECHO["EchoStream"]) as stream:
        await stream.close_send()
        with pytest.raises(StreamClosed):
            await stream.send(BytesValue())
        with pytest.raises(StreamClosed):
            await stream.close_send()
        assert await stream.recv() is None


async def test_39_shutdown_with_an_open_stream(server: Server, client: Client) -> None:
    stream = await client.open_stream(ECHO["EchoStream"])
    await stream.send(BytesValue(value=b"x"))
    await stream.recv()
    assert not await server.shutdown(0.05)
    with pytest.raises(Closed):
        await stream.recv()


async def test_39_shutdown_lets_a_stream_finish(server: Server, client: Client) -> None:
    async with await client.open_stream(ECHO["Upload"]) as stream:
        await stream.send(BytesValue(value=b"one"))
        await wait_for(client, "Active", 1)
        down = asyncio.ensure_future(server.shutdown(10))
        await asyncio.sleep(0)
        await stream.send(BytesValue(value=b"three"))
        assert (await stream.response()).value == 2 << 32 | 8
        assert await down


async def test_39_the_server_ends_first(client: Client) -> None:
    async with await client.open_stream(ITEMS["EchoNull"]) as stream:
        await stream.send(Item(seq=7))
        with pytest.raises(StatusError) as caught:
            await stream.response()
        assert caught.value.code is Code.FAILED_PRECONDITION


async def test_39_a_method_with_one_response_cannot_stream(address: str) -> None:
    class Streams:
        async def upload(
            self, stream: ServerStream[BytesValue, Any], context: CallContext
        ) -> UInt64Value:
            with pytest.raises(LocalProtocolError):
                await stream.send(UInt64Value(value=1))
            return UInt64Value(value=2)

    server = Server([bind(DESCRIPTOR.services_by_name["Echo"], Streams())])
    await server.listen(address)
    async with await Client.connect(address) as client:
        async with await client.open_stream(ECHO["Upload"]) as upload:
            assert (await upload.response()).value == 2
    server.close()
    await server.wait_closed()


async def test_39_a_client_with_one_request_cannot_stream(client: Client) -> None:
    request = UInt64Value(value=1 << 32)
    async with await client.open_stream(ECHO["Download"], request) as stream:
        with pytest.raises(LocalProtocolError):
            await stream.send(UInt64Value())


async def test_39_several_streams_and_connections(address: str, server: Server) -> None:
    clients = [await Client.connect(address) for _ in range(5)]
    await asyncio.gather(*(echo_items(c, 20) for c in clients for _ in range(10)))
    for client in clients:
        await client.close()


# --- known faults of other servers ---


async def test_a_stream_s_deadline_is_enforced(client: Client) -> None:
    """Rust's servers ignore the deadlines of streams."""
    async with await client.open_stream(ECHO["Ignore"], timeout=0.05) as stream:
        with pytest.raises(StatusError) as caught:
            await stream.recv()
        assert caught.value.code is Code.DEADLINE_EXCEEDED
    await wait_for(client, "Active", 0)


def test_a_stream_s_deadline_is_the_server_s_own(our_server: str) -> None:
    with Wire(our_server) as wire:
        timeout = SECOND // 20
        wire.send(request(1, "Ignore", flags=OPEN, timeout_nano=timeout))
        answer = wire.receive()
        assert answer is not None
        assert answer.response.status.code == Code.DEADLINE_EXCEEDED


def test_a_request_that_says_closed_ends_the_messages(our_server: str) -> None:
    """Go ignores the flag, and its handler waits for ever."""
    with Wire(our_server) as wire:
        wire.send(request(1, "Upload", flags=CLOSED))
        answer = wire.receive()
        assert answer is not None
        assert answer.response.payload == b""


def test_a_finished_stream_is_finished(our_server: str) -> None:
    """Go's servers from 1.2.0 to 1.2.7 die of Data for one."""
    with Wire(our_server) as wire:
        wire.send(request(1, "EchoStream", flags=OPEN | NO_DATA), close(1))
        assert wire.receive() == close(1)
        for late in (data(1, b"x"), data(1, b"", NO_DATA), close(1)):
            wire.send(late)
            answer = wire.receive()
            assert answer is not None
            assert answer.response.status.message == "StreamID is no longer active"


async def test_streams_do_not_reorder(client: Client) -> None:
    """ttrpc-rust may hand on the frames of a stream in another order."""
    count = 20_000
    request = UInt64Value(value=count << 32 | 8)
    async with await client.open_stream(ECHO["Download"], request) as stream:
        received = [len(message.value) async for message in stream]
    assert received == [8] * count
    async with await client.open_stream(ITEMS["EchoNull"]) as upload:
        for seq in range(2000):
            await upload.send(Item(seq=seq))
        assert await upload.response() == Empty()


def test_both_services_have_all_their_handlers() -> None:
    for bound in services():
        assert set(bound.handlers) == set(bound.service.methods)
