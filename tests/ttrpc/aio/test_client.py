# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import math
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, SECOND, echo, nap
from ttrpc import CallContext, Closed, Code, Deadline, StatusError, bind
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/a.sock"


async def start(address: str) -> Server:
    server = Server(services())
    await server.listen(address)
    return server


async def stop(server: Server, client: Client) -> None:
    server.close()
    await server.wait_closed()
    await client.wait_closed()


async def test_it_connects_again_when_it_may(address: str) -> None:
    """Many calls that find the connection lost make one new one."""
    first = await start(address)
    async with await Client.connect(address, reconnect=10) as client:
        assert await echo(client, b"1") == b"1"
        await stop(first, client)
        calls = [asyncio.ensure_future(echo(client, b"2")) for _ in range(10)]
        await asyncio.sleep(0)
        second = await start(address)
        assert await asyncio.gather(*calls) == 10 * [b"2"]
        assert second.connections == 1
    await second.shutdown(10)


async def test_it_does_not_connect_again_by_itself(address: str) -> None:
    server = await start(address)
    async with await Client.connect(address) as client:
        await stop(server, client)
        server = await start(address)
        with pytest.raises(Closed, match="^connection: "):
            await echo(client, b"hi")
        assert server.connections == 0
    server.close()


async def test_it_gives_up_when_no_server_comes_back(address: str) -> None:
    server = await start(address)
    async with await Client.connect(address, reconnect=0.02) as client:
        await stop(server, client)
        with pytest.raises(Closed, match=f"^{address}: .*No such file"):
            await echo(client, b"hi")


async def test_a_deadline_counts_while_it_connects(address: str) -> None:
    server = await start(address)
    async with await Client.connect(address, reconnect=3600) as client:
        await stop(server, client)
        with pytest.raises(StatusError) as caught:
            await nap(client, 0, timeout=0.02)
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_a_closed_client_does_not_connect_again(address: str) -> None:
    server = await start(address)
    client = await Client.connect(address, reconnect=3600)
    await stop(server, client)
    call = asyncio.ensure_future(echo(client, b"hi"))
    await asyncio.sleep(0)
    await client.close()
    await client.close()
    server = await start(address)
    with pytest.raises(Closed, match="^connection: "):
        await call
    with pytest.raises(Closed, match="^connection: "):
        await echo(client, b"hi")
    await server.shutdown(10)
    assert server.connections == 0


async def test_it_cannot_connect_again_without_an_address() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="reconnect: needs an address"):
        Client(ours, reconnect=1)


async def test_a_stream_needs_the_request_that_its_method_takes() -> None:
    async with connected(Server(services())) as client:
        with pytest.raises(ValueError, match="/peer.v1.Echo/Download: takes a request"):
            await client.open_stream(ECHO["Download"])
        request = ECHO["EchoStream"].request_type()
        with pytest.raises(ValueError, match="/EchoStream: takes no request"):
            await client.open_stream(ECHO["EchoStream"], request)


async def test_a_stream_that_has_ended_leaves_no_timer() -> None:
    """Otherwise each is kept until its deadline, however long ago it ended."""
    async with connected(Server(services())) as client:
        request = ECHO["FailStream"].request_type()
        stream = await client.open_stream(ECHO["FailStream"], request, timeout=3600)
        with pytest.raises(StatusError, match="ABORTED"):
            await stream.recv()
        ended = await client.open_stream(ECHO["Upload"], timeout=3600)
        await ended.response()
        assert await ended.recv() is None
        async with await client.open_stream(ECHO["Upload"], timeout=3600):
            assert client._session._timers
        assert not client._session._timers


async def test_its_end_can_be_awaited_by_any_number_of_tasks(address: str) -> None:
    server = await start(address)
    async with await Client.connect(address) as client:
        waiting = [asyncio.ensure_future(client.wait_closed()) for _ in range(3)]
        assert await echo(client, b"hi") == b"hi"
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        server.close()
        causes = [await it for it in waiting[1:]]
        assert causes == 2 * [client.closed]
        assert str(causes[0]) == "connection: closed by the peer"
        assert await client.wait_closed() is client.closed


class Relay:
    """Asks another server with the deadline of its own caller."""

    def __init__(self, upstream: Client) -> None:
        self._upstream = upstream
        self.left: float | None = None

    async def deadline(self, request: Empty, context: CallContext) -> Int64Value:
        self.left = context.remaining()
        answer: Int64Value = await self._upstream.call(
            ECHO["Deadline"], request, deadline=context.deadline
        )
        return answer


async def test_a_handler_hands_its_deadline_on() -> None:
    service = DESCRIPTOR.services_by_name["Echo"]
    async with connected(Server(services())) as upstream:
        relay = Relay(upstream)
        async with connected(Server([bind(service, relay)])) as client:
            answer = await client.call(ECHO["Deadline"], Empty(), timeout=600)
            assert relay.left is not None
            assert 0 < answer.value <= relay.left * SECOND <= 600 * SECOND
            # Without a deadline there is none to hand on.
            answer = await client.call(ECHO["Deadline"], Empty())
            assert (answer.value, relay.left) == (-1, None)
            # A deadline that has passed is not sent at all.
            passed = Deadline.after(0, clock=time.monotonic)
            with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
                await client.call(ECHO["Deadline"], Empty(), deadline=passed)


async def test_calls_have_the_clients_timeout(address: str) -> None:
    async with (
        Server(services()) as server,
        await connect_to(server, address, call_timeout=0.02) as client,
    ):
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            await nap(client, 3600)
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            async with client.open_stream(ECHO["EchoStream"]) as stream:
                await stream.recv()
        await nap(client, 0.05, timeout=math.inf)
        await nap(client, 0.05, timeout=600)
        deadline = Deadline.after(600, clock=time.monotonic)
        await nap(client, 0.05, deadline=deadline)


async def connect_to(server: Server, address: str, **options: Any) -> Client:
    await server.listen(address)
    return await Client.connect(address, **options)


async def test_a_default_timeout_that_is_no_time_is_refused(address: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="^timeout nan: "):
        Client(ours, timeout=math.nan)
    with pytest.raises(ValueError, match="^call_timeout -1: "):
        await Client.connect(address, call_timeout=-1)


async def test_a_hook_that_ends_the_program_leaves_no_connection() -> None:
    ours, theirs = socket.socketpair()
    ended: list[Closed] = []
    with theirs, pytest.raises(SystemExit):
        Client(ours, connected=sys.exit, disconnected=ended.append)
    assert ours.fileno() == -1
    assert [str(cause) for cause in ended] == ["connection: closed on this side"]
