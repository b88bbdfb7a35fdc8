# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import socket

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import echo, nap, wait_for
from ttrpc import Closed, StatusError
from ttrpc.aio import Client, ServedConnection, Server


def pair(server: Server) -> tuple[Client, ServedConnection]:
    ours, theirs = socket.socketpair()
    connection = server.serve_connection(theirs)
    return Client(ours), connection


async def test_it_tells_its_peer_and_its_end() -> None:
    async with Server(services()) as server:
        client, connection = pair(server)
        assert connection.peer.credentials is not None
        assert connection.peer.credentials.pid == os.getpid()
        assert await echo(client, b"hi") == b"hi"
        assert connection.closed is None
        ended = asyncio.ensure_future(connection.wait_closed())
        await client.close()
        assert str(await ended) == "connection: closed by the peer"
        assert connection.closed is await connection.wait_closed()


async def test_its_end_is_the_end_of_its_handlers_too() -> None:
    async with Server(services()) as server:
        client, connection = pair(server)
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        assert connection.calls_in_flight == 1
        await client.close()
        await connection.wait_closed()
        assert connection.calls_in_flight == server.calls_in_flight == 0
        with pytest.raises(Closed):
            await call


async def test_one_connection_is_drained_and_others_go_on() -> None:
    async with Server(services()) as server:
        first, connection = pair(server)
        second, _ = pair(server)
        call = asyncio.ensure_future(nap(first, 0.05))
        await wait_for(first, "Active", 1)
        ended = asyncio.ensure_future(connection.shutdown())
        await asyncio.sleep(0)
        with pytest.raises(StatusError, match="^UNAVAILABLE: "):
            await echo(first, b"late")
        assert await ended
        await call
        assert str(await first.wait_closed()) == "connection: closed by the peer"
        assert await echo(second, b"hi") == b"hi"
        assert server.connections == 1
        await second.close()


async def test_a_shutdown_tells_of_calls_that_it_cut_off() -> None:
    async with Server(services()) as server:
        client, connection = pair(server)
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        assert not await connection.shutdown(timeout=0)
        assert server.calls_in_flight == 0
        with pytest.raises(Closed):
            await call


async def test_it_can_be_closed_at_once() -> None:
    async with Server(services()) as server:
        client, connection = pair(server)
        assert await echo(client, b"hi") == b"hi"
        connection.close()
        assert str(connection.closed) == "connection: closed by the server"
        await client.wait_closed()


@pytest.mark.parametrize("reason", ["not authorized", "the server is closed"])
async def test_a_refused_connection_says_why(reason: str) -> None:
    server = Server(services(), authorize=lambda peer: False)
    if reason == "the server is closed":
        server.close()
    client, connection = pair(server)
    assert str(connection.closed) == f"connection: {reason}"
    assert await connection.wait_closed() is connection.closed
    assert await connection.shutdown()
    connection.close()
    assert connection.calls_in_flight == 0
    await client.wait_closed()
