# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import echo, nap
from ttrpc import CallContext, Closed, Limits, OversizedMessage
from ttrpc.aio import Server
from ttrpc.aio.testing import connected


async def test_a_client_calls_a_server_without_an_address() -> None:
    server = Server(services())
    async with connected(server) as client:
        assert await echo(client, b"hi") == b"hi"
    assert server.connections == 0
    with pytest.raises(Closed, match="connection: closed on this side"):
        await echo(client, b"after")


async def test_the_client_stays_within_its_memory() -> None:
    seen = []

    async def interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
        seen.append(context.method.name)
        return await proceed(request, context)

    server = Server(services())
    limits = Limits(message=1000)
    async with connected(server, interceptors=[interceptor], limits=limits) as client:
        with pytest.raises(OversizedMessage):
            await echo(client, bytes(1000))
    assert seen == ["Echo"]


async def test_no_handler_outlives_the_block() -> None:
    server = Server(services())
    async with connected(server) as client:
        call = asyncio.ensure_future(nap(client, 3600))
        await asyncio.sleep(0)
    assert server.calls_in_flight == 0
    with pytest.raises(Closed):
        await call
