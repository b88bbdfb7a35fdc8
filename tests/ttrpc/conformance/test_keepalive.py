# SPDX-License-Identifier: Apache-2.0
"""Peers that have died without a word, or say half of one."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, echo, nap, wait_for
from tests.helpers.wire import request
from ttrpc import Closed, Code, Limits, sync
from ttrpc.aio import Client, Server

HI = BytesValue(value=b"hi")
SOON = 0.3
"""A time in seconds; nothing here depends on its being over at a given moment."""


def serve(server: Server, **options: Any) -> Client:
    ours, theirs = socket.socketpair()
    server.serve_connection(theirs)
    return Client(ours, **options)


async def test_a_server_that_stands_still_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        async with Client(ours, keepalive=SOON) as client:
            call = asyncio.ensure_future(echo(client, b"hi"))
            stream = await client.open_stream(ECHO["EchoStream"])
            started = time.monotonic()
            cause = await client.wait_closed()
            assert time.monotonic() - started > SOON / 2
            assert str(cause) == "connection: the server does not answer"
            with pytest.raises(Closed, match="does not answer"):
                await call
            with pytest.raises(Closed, match="does not answer"):
                await stream.recv()


async def test_a_server_that_answers_probes_is_kept() -> None:
    """With calls in flight and without."""
    async with Server(services()) as server, serve(server, keepalive=3) as client:
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        asked = server.counters.calls
        while server.counters.calls < asked + 2:
            await asyncio.sleep(0.05)
        assert await echo(client, b"hi") == b"hi"
        assert server.counters.calls_ended[Code.UNIMPLEMENTED] == 2
        call.cancel()


async def test_a_client_that_connects_again_looks_again() -> None:
    """Each connection has a keepalive of its own."""
    name = "unix://@ttrpc-test-keepalive"
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind("\0ttrpc-test-keepalive")
        listener.listen()
        async with await Client.connect(name, reconnect=5, keepalive=SOON) as client:
            for _ in range(2):
                with pytest.raises(Closed, match="does not answer"):
                    await echo(client, b"hi")


def test_the_blocking_client_notices_it_while_it_waits() -> None:
    ours, theirs = socket.socketpair()
    with theirs, sync.Client(ours, keepalive=SOON) as client:
        with pytest.raises(Closed, match="^connection: the server does not answer$"):
            client.call(ECHO["Echo"], HI)
        assert client.closed is not None


def test_a_timeout_comes_before_the_keepalive() -> None:
    ours, theirs = socket.socketpair()
    with theirs, sync.Client(ours, keepalive=3600) as client:
        with pytest.raises(Exception, match="^DEADLINE_EXCEEDED: "):
            client.call(ECHO["Echo"], HI, timeout=0.01)
        assert client.closed is None


def test_the_blocking_client_keeps_a_server_that_answers(our_server: str) -> None:
    with sync.Client.connect(f"unix://{our_server}", keepalive=3) as client:
        with client.open_stream(ECHO["EchoStream"], timeout=2.5) as stream:
            with pytest.raises(Exception, match="^DEADLINE_EXCEEDED: "):
                stream.recv()
        assert client.call(ECHO["Echo"], HI) == HI


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_keepalive_that_is_no_time_is_refused(seconds: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for refuse in (Client, sync.Client):
            with pytest.raises(ValueError, match=f"^keepalive {seconds}: "):
                refuse(ours, keepalive=seconds)
    with pytest.raises(ValueError, match=f"^idle_timeout {seconds}: "):
        Server(services(), idle_timeout=seconds)


async def test_an_endless_keepalive_is_none() -> None:
    async with (
        Server(services(), idle_timeout=math.inf) as server,
        serve(server, keepalive=math.inf) as client,
    ):
        assert await echo(client, b"hi") == b"hi"


async def test_a_connection_on_which_nothing_happens_is_closed() -> None:
    """Not before the time is over, and not while a call is in flight."""
    async with Server(services(), idle_timeout=SOON) as server:
        busy = serve(server)
        call = asyncio.ensure_future(nap(busy, 3600))
        await wait_for(busy, "Active", 1)
        for sent in (b"", b"\0\0", bytes(request(1, "Echo"))[:-3]):
            ours, theirs = socket.socketpair()
            with ours:
                started = time.monotonic()
                connection = server.serve_connection(theirs)
                ours.sendall(sent)
                cause = await connection.wait_closed()
                assert str(cause) == "connection: nothing came from the peer for 0.3 s"
                assert time.monotonic() - started >= SOON
        assert busy.closed is None
        call.cancel()
        await busy.close()


async def test_half_a_frame_is_not_waited_for_while_calls_are_in_flight() -> None:
    async with Server(services(), idle_timeout=SOON) as server:
        ours, theirs = socket.socketpair()
        with ours:
            connection = server.serve_connection(theirs)
            nap_request = request(1, "Sleep", b"\x08\x80\x80\x90\xbb\xfc\x03")
            ours.sendall(bytes(nap_request) + bytes(request(3, "Echo"))[:-3])
            cause = await connection.wait_closed()
        assert str(cause).startswith("connection: nothing came from the peer")
        assert server.counters.calls_ended[Code.CANCELLED] == 1


async def test_a_connection_in_use_stays() -> None:
    """Calls that follow each other, and an answer that the peer takes slowly."""
    big = Limits(queued_per_connection=64 << 20)
    async with (
        Server(services(), idle_timeout=SOON, limits=big) as server,
        serve(server) as client,
    ):
        started = time.monotonic()
        while time.monotonic() < started + 3 * SOON:
            assert await echo(client, b"hi") == b"hi"
            await asyncio.sleep(SOON / 10)
        assert client.closed is None
