# SPDX-License-Identifier: Apache-2.0
"""Our asyncio client on the Go library's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import (
    BytesValue,
    Int32Value,
    StringValue,
    UInt64Value,
)

from bench.ttrpc.peer_pb2 import Item, Part, Total
from tests.helpers.interop import go_peer
from tests.helpers.peer import ECHO, ITEMS, LIMIT, SECOND, echo, wait_for
from ttrpc import Closed, Code, OversizedMessage, StatusError, StreamClosed, StreamFull
from ttrpc.aio import Client, ClientStream

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def go_server(
    go_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    path = tmp_path_factory.mktemp("peer") / "go.sock"
    with go_peer(go_programs, str(path)):
        yield f"unix://{path}"


@pytest_asyncio.fixture
async def client(go_server: str) -> AsyncIterator[Client]:
    async with await Client.connect(go_server) as client:
        yield client


# --- unary ---


@pytest.mark.parametrize("size", [0, 1, 127, 128, 4096, 16384, 1 << 20, LIMIT - 64])
async def test_sizes(client: Client, size: int) -> None:
    assert await echo(client, b"x" * size) == b"x" * size


async def test_a_thousand_calls_at_once(client: Client) -> None:
    texts = [str(number).encode() for number in range(1000)]
    assert await asyncio.gather(*(echo(client, text) for text in texts)) == texts


async def test_a_fast_call_overtakes_a_slow_one(client: Client) -> None:
    nap = UInt64Value(value=SECOND // 5)
    slow = asyncio.ensure_future(client.call(ECHO["Sleep"], nap))
    assert await echo(client, b"fast") == b"fast"
    assert not slow.done()
    assert await slow == nap


@pytest.mark.parametrize("code", [*range(1, 17), 99])
async def test_codes(client: Client, code: int) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(ECHO["Fail"], Int32Value(value=code))
    assert caught.value.code == code
    assert caught.value.message == f"failed with {code}"


async def test_details(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(ECHO["FailDetails"], Int32Value(value=5))
    (detail,) = caught.value.details
    unpacked = StringValue()
    assert detail.Unpack(unpacked)
    assert unpacked.value == "detail"


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        ("Plain", Code.UNKNOWN, "went wrong"),
        ("Nil", Code.UNKNOWN, "ttrpc: marshal called with nil"),
        ("Both", Code.DATA_LOSS, "lost"),
    ],
)
async def test_errors(client: Client, method: str, code: Code, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(ECHO[method], Empty())
    assert (caught.value.code, caught.value.message) == (code, message)


async def test_metadata_keeps_order_and_repeats(client: Client) -> None:
    pairs = [("Key", "1"), ("key", "2"), ("key", ""), ("other", "x")]
    for key, expected in {
        "key": "1,2,",
        "KEY": "1,2,",
        "other": "x",
        "none": "",
    }.items():
        request = StringValue(value=key)
        answer = await client.call(ECHO["Metadata"], request, metadata=pairs)
        assert answer.value == expected


async def test_deadline_reaches_the_server(client: Client) -> None:
    assert (await client.call(ECHO["Deadline"], Empty())).value == -1
    left = (await client.call(ECHO["Deadline"], Empty(), timeout=600)).value
    assert 590 * SECOND < left <= 600 * SECOND


async def test_deadline_ends_the_call_on_both_sides(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(ECHO["Sleep"], UInt64Value(value=60 * SECOND), timeout=0.05)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    await wait_for(client, "Active", 0)


async def test_a_late_answer_is_dropped(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(
            ECHO["Stubborn"], UInt64Value(value=SECOND // 5), timeout=0.05
        )
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    await client.call(ECHO["Sleep"], UInt64Value(value=SECOND // 4))
    assert await echo(client, b"still") == b"still"


async def test_cancelling_the_task_leaves_the_connection(client: Client) -> None:
    call = client.call(ECHO["Sleep"], UInt64Value(value=SECOND // 20))
    task = asyncio.ensure_future(call)
    await wait_for(client, "Active", 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for(client, "Active", 0)
    assert await echo(client, b"still") == b"still"


async def test_a_request_over_the_limit_is_not_sent(client: Client) -> None:
    with pytest.raises(OversizedMessage) as caught:
        await echo(client, bytes(LIMIT))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert await echo(client, b"still") == b"still"


async def test_a_response_over_the_limit_is_go_s_to_refuse(client: Client) -> None:
    """Go's server closes the connection; our client's error says so."""
    with pytest.raises(Closed, match="closed by the peer"):
        await client.call(ECHO["Make"], UInt64Value(value=LIMIT + 1))
    with pytest.raises(Closed):
        await echo(client, b"after")


# --- streams ---


async def test_bidi_beside_unary(client: Client) -> None:
    async with await client.open_stream(ITEMS["EchoStream"]) as stream:
        for seq in range(100):
            await stream.send(Item(seq=seq, text="a message"))
            assert await stream.recv() == Item(seq=seq + 1, text="a message")
        assert await echo(client, b"beside") == b"beside"
        await stream.close_send()
        assert await stream.recv() is None
        with pytest.raises(StreamClosed):
            await stream.send(Item())


async def test_empty_messages_count(client: Client) -> None:
    async with await client.open_stream(ITEMS["Sum"]) as stream:
        for add in (0, *range(-99, 101), 0):
            await stream.send(Part(add=add))
        assert await stream.response() == Total(sum=100, num=202)


async def test_server_stream(client: Client) -> None:
    request = Total(sum=392, num=30)
    async with await client.open_stream(ITEMS["Divide"], request) as stream:
        parts = [part.add async for part in stream]
    assert (sum(parts), len(parts)) == (392, 30)


async def test_empty_reply_of_a_client_stream(client: Client) -> None:
    async with await client.open_stream(ITEMS["EchoNull"]) as stream:
        for seq in range(100):
            await stream.send(Item(seq=seq))
        assert await stream.response() == Empty()


async def test_many_senders_on_the_server(client: Client) -> None:
    async with await client.open_stream(ITEMS["EchoNullStream"]) as stream:

        async def send_all() -> None:
            for seq in range(100):
                await stream.send(Item(seq=seq))
            await stream.close_send()

        sending = asyncio.ensure_future(send_all())
        received = [message async for message in stream]
        await sending
    assert received == [Empty()] * 1000


async def test_empty_request_of_a_server_stream(client: Client) -> None:
    async with await client.open_stream(ITEMS["EmptyPayload"], Empty()) as stream:
        assert [item.seq async for item in stream] == [1, 2]


@pytest.mark.parametrize(("count", "size"), [(0, 0), (5, 100), (3, LIMIT - 64)])
async def test_upload_and_download(client: Client, count: int, size: int) -> None:
    async with await client.open_stream(ECHO["Upload"]) as stream:
        for _ in range(count):
            await stream.send(BytesValue(value=bytes(size)))
        assert (await stream.response()).value == count << 32 | count * size
    request = UInt64Value(value=count << 32 | size)
    async with await client.open_stream(ECHO["Download"], request) as stream:
        assert [len(message.value) async for message in stream] == [size] * count


async def test_a_stream_s_error(client: Client) -> None:
    request = UInt64Value(value=3)
    async with await client.open_stream(ECHO["FailStream"], request) as stream:
        for text in "012":
            assert await stream.recv() == StringValue(value=text)
        for _ in range(2):
            with pytest.raises(StatusError) as caught:
                await stream.recv()
            assert (caught.value.code, caught.value.message) == (Code.ABORTED, "enough")
    assert await echo(client, b"still") == b"still"


async def test_an_unread_stream_holds_back_only_itself(client: Client) -> None:
    count, size = 2000, 10_000
    request = UInt64Value(value=count << 32 | size)
    async with await client.open_stream(ECHO["Download"], request) as unread:
        assert await echo(client, b"beside") == b"beside"
        async with await client.open_stream(ITEMS["EchoStream"]) as other:
            await other.send(Item(seq=1))
            assert await other.recv() == Item(seq=2)
        with pytest.raises(StreamFull):
            await read_slowly(unread, client)
    assert await echo(client, b"still") == b"still"


async def read_slowly(stream: ClientStream[Any, Any], client: Client) -> None:
    """Read to the end, a message for each call that is answered."""
    async with asyncio.timeout(10):
        while await stream.recv() is not None:
            await echo(client, b"meanwhile")


async def test_a_stream_s_deadline(client: Client) -> None:
    async with await client.open_stream(ECHO["EchoStream"], timeout=0.05) as stream:
        with pytest.raises(StatusError) as caught:
            await stream.recv()
        assert caught.value.code is Code.DEADLINE_EXCEEDED
    await wait_for(client, "Active", 0)


async def test_leaving_a_stream_ends_its_handler(client: Client) -> None:
    async with await client.open_stream(ECHO["EchoStream"]) as stream:
        await stream.send(BytesValue(value=b"x"))
        await stream.recv()
    await wait_for(client, "Active", 0)


# --- the end of a connection ---


async def test_closing_cancels_the_handlers(go_server: str, client: Client) -> None:
    before = (await client.call(ECHO["Cancelled"], Empty())).value
    other = await Client.connect(go_server)
    hour = UInt64Value(value=3600 * SECOND)
    calls = [asyncio.ensure_future(other.call(ECHO["Sleep"], hour)) for _ in range(5)]
    await wait_for(client, "Active", 5)
    await other.close()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, Closed) for error in ended)
    await wait_for(client, "Cancelled", before + 5)


async def test_a_dead_server_fails_every_call(
    go_programs: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "go.sock")
    with go_peer(go_programs, path) as peer:
        async with await Client.connect(f"unix://{path}") as client:
            hour = UInt64Value(value=3600 * SECOND)
            calls = [
                asyncio.ensure_future(client.call(ECHO["Sleep"], hour))
                for _ in range(5)
            ]
            stream = await client.open_stream(ECHO["EchoStream"])
            await wait_for(client, "Active", 6)
            peer.kill()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(error, Closed) for error in ended)
            with pytest.raises(Closed):
                await stream.recv()
            with pytest.raises(Closed):
                await echo(client, b"after")


async def test_reconnecting_to_a_server_that_came_back(
    go_programs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "go.sock"
    with go_peer(go_programs, str(path)):
        client = await Client.connect(f"unix://{path}", reconnect=10)
        assert await echo(client, b"first") == b"first"
    path.unlink()
    async with client:
        with go_peer(go_programs, str(path)):
            async with asyncio.timeout(10):
                while True:
                    try:
                        assert await echo(client, b"second") == b"second"
                        break
                    except Closed:
                        continue  # the end of the first one was not yet noticed


# --- keepalive ---


async def test_it_answers_the_probes_of_a_keepalive(go_server: str) -> None:
    """The connection is idle for four checks, and then for four more with a call."""
    async with await Client.connect(go_server, keepalive=1.5) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.wait_closed(), 2)
        await client.call(ECHO["Sleep"], UInt64Value(value=2 * SECOND))
        assert await echo(client, b"hi") == b"hi"
