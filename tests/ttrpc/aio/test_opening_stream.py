# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, wait_for
from ttrpc import Closed, Code, StatusError
from ttrpc.aio import Client, ClientStream, Server
from ttrpc.aio.testing import connected

HI = BytesValue(value=b"hi")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with connected(Server(services())) as client:
        yield client


async def test_a_stream_is_opened_by_its_block_or_by_await(client: Client) -> None:
    async with client.open_stream(ECHO["EchoStream"]) as stream:
        await stream.send(HI)
        assert await stream.recv() == HI
    stream = await client.open_stream(ECHO["EchoStream"])
    await stream.send(HI)
    assert await stream.recv() == HI
    async with stream:
        pass
    async with await client.open_stream(ECHO["EchoStream"]) as stream:
        assert isinstance(stream, ClientStream)


async def test_leaving_the_block_ends_the_stream(client: Client) -> None:
    """Whatever the way out: the handler sees the end of the messages."""
    streams = []

    async def fail() -> None:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            streams.append(stream)
            await wait_for(client, "Active", 1)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    await wait_for(client, "Active", 0)
    with pytest.raises(Closed, match="abandoned$"):
        await streams[0].recv()

    async def wait() -> None:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            await stream.recv()

    task = asyncio.ensure_future(wait())
    await wait_for(client, "Active", 1)
    task.cancel()
    await wait_for(client, "Active", 0)


async def test_a_mistake_is_told_before_the_block(client: Client) -> None:
    with pytest.raises(ValueError, match="Echo: is unary; use call$"):
        client.open_stream(ECHO["Echo"], HI)
    with pytest.raises(ValueError, match="^timeout -1: "):
        client.open_stream(ECHO["Download"], UInt64Value(), timeout=-1)


async def test_an_opening_that_fails_raises_in_its_place(client: Client) -> None:
    await client.close()
    with pytest.raises(Closed):
        async with client.open_stream(ECHO["EchoStream"]):
            pytest.fail("the connection is closed")


async def test_a_stream_that_was_never_opened_is_told_of(client: Client) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.open_stream(ECHO["EchoStream"])
        gc.collect()
    assert any("never awaited" in str(warning.message) for warning in caught)


async def test_the_deadline_is_that_of_the_call(client: Client) -> None:
    with pytest.raises(StatusError) as failed:
        async with client.open_stream(ECHO["EchoStream"], timeout=0.01) as stream:
            await stream.recv()
    assert failed.value.code is Code.DEADLINE_EXCEEDED
