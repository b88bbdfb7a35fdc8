# SPDX-License-Identifier: Apache-2.0
"""Streams that interceptors of a client opened before they failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, wait_for
from ttrpc import CallContext, sync
from ttrpc.aio import Server
from ttrpc.aio.testing import connected


async def failing(request: Any, context: CallContext, proceed: Any) -> Any:
    result = await proceed(request, context)
    if context.method is ECHO["EchoStream"]:
        raise ValueError("no")
    return result


async def test_a_stream_of_a_failed_interceptor_is_closed() -> None:
    async with connected(Server(services()), interceptors=[failing]) as client:
        with pytest.raises(ValueError, match="no"):
            await client.open_stream(ECHO["EchoStream"])
        await wait_for(client, "Active", 0)
        counters = client.counters
        assert counters.calls == sum(counters.calls_ended.values())


async def test_a_stream_of_a_cancelled_interceptor_is_closed() -> None:
    opened = asyncio.Event()

    async def hanging(request: Any, context: CallContext, proceed: Any) -> Any:
        # Also by a task of its own.
        result = await asyncio.create_task(proceed(request, context))
        if context.method is ECHO["EchoStream"]:
            opened.set()
            await asyncio.Event().wait()
        return result

    async with connected(Server(services()), interceptors=[hanging]) as client:
        opening = asyncio.ensure_future(client.open_stream(ECHO["EchoStream"]))
        await opened.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await wait_for(client, "Active", 0)
        counters = client.counters
        assert counters.calls == sum(counters.calls_ended.values())


async def test_what_an_interceptor_returns_stays_open() -> None:
    async def inner(request: Any, context: CallContext, proceed: Any) -> Any:
        result = await proceed(request, context)
        if "inner" in context.metadata:
            raise ValueError("inner")
        return result

    async with connected(Server(services()), interceptors=[inner]) as client:
        stream = await client.open_stream(ECHO["EchoStream"])
        with pytest.raises(ValueError, match="inner"):
            await client.open_stream(ECHO["EchoStream"], metadata={"inner": "1"})
        await stream.close_send()
        assert await stream.recv() is None


def test_the_blocking_client_closes_it_too(our_server: str) -> None:
    def failing(request: Any, context: CallContext, proceed: Any) -> Any:
        proceed(request, context)
        raise ValueError("no")

    address = f"unix://{our_server}"
    with sync.Client.connect(address, interceptors=[failing]) as client:
        with pytest.raises(ValueError, match="no"):
            client.open_stream(ECHO["EchoStream"])
        counters = client.counters
        assert counters.calls == sum(counters.calls_ended.values()) == 1
