# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kata_host.errors import GuestEnded
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.process_stream import ProcessStream
from ttrpc.errors import Closed


class Source:
    """Chunks that come when they are put."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.queue.get():
            if isinstance(data, Exception):
                raise data
            yield data


@pytest.fixture
async def connection(address: str) -> AsyncIterator[GuestConnection]:
    connection = await GuestConnection.to(address, 5)
    yield connection
    await connection.close()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def stream(connection: GuestConnection, source: Source) -> ProcessStream:
    return ProcessStream(connection, aiter(source))


async def test_a_read_that_is_cancelled_loses_nothing(
    stream: ProcessStream, source: Source
) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await stream.read()
    for data in (b"one", b"two", b""):
        source.queue.put_nowait(data)
    assert [chunk async for chunk in stream] == [b"one", b"two"]


async def test_bytes_up_to_a_mark_leave_the_rest(
    stream: ProcessStream, source: Source
) -> None:
    for data in (b"a>", b">b>>", b"c", b""):
        source.queue.put_nowait(data)
    assert await stream.read_until(b">>") == b"a>>"
    assert await stream.read_until(b">>") == b"b>>"
    assert await stream.read_until(b">>") == b"c"
    assert await stream.read_until(b">>") == b""


async def test_a_search_that_is_cancelled_loses_nothing(
    stream: ProcessStream, source: Source
) -> None:
    source.queue.put_nowait(b"begin ")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stream.read_until(b"!")
    source.queue.put_nowait(b"end!rest")
    assert await stream.read_until(b"!") == b"begin end!"
    assert await stream.read() == b"rest"


async def test_a_lost_connection_is_an_error_of_the_tree(
    stream: ProcessStream, source: Source
) -> None:
    source.queue.put_nowait(Closed("lost"))
    with pytest.raises(GuestEnded):
        await stream.read()


async def test_a_read_that_waits_is_given_up_at_the_close(
    stream: ProcessStream,
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await stream.read()
    await stream.close()


async def test_a_second_task_that_reads_is_told_so(
    stream: ProcessStream, source: Source
) -> None:
    first = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="read by another task"):
        await stream.read()
    source.queue.put_nowait(b"one")
    assert await first == b"one"
