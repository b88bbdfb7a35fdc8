# SPDX-License-Identifier: Apache-2.0
"""What a server counts, in sessions of every kind; each call ends once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, echo, nap, wait_for
from tests.helpers.wire import DATA, Frame, Wire, request
from ttrpc import (
    BoundService,
    CallContext,
    Cardinality,
    Closed,
    Code,
    Limits,
    Method,
    Service,
    StatusError,
)
from ttrpc.aio import Client, ServedConnection, Server
from ttrpc.aio.testing import connected

MISSING: Method[Any, Any] = Method(
    "Missing", "peer.v1.Echo", ECHO["Echo"].cardinality, Empty, Empty
)
BIG = UInt64Value(value=(4 << 20) + 1)


@pytest.mark.parametrize("intercepted", [False, True], ids=["inline", "tasks"])
async def test_calls_are_counted_by_their_outcome(intercepted: bool) -> None:
    async def pass_on(request: Any, context: CallContext, proceed: Any) -> Any:
        return await proceed(request, context)

    server = Server(services(), interceptors=[pass_on] if intercepted else [])
    async with connected(server) as client:
        assert server.counters.calls == 0
        for _ in range(3):
            await echo(client, b"hi")
        failing = [
            client.call(ECHO["Fail"], Int32Value(value=5)),
            client.call(ECHO["Fail"], Int32Value(value=5)),
            client.call(ECHO["Plain"], Empty()),
            client.call(ECHO["Make"], BIG),
            client.call(MISSING, Empty()),
        ]
        for call in failing:
            with pytest.raises(StatusError):
                await call
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            await stream.send(BytesValue(value=b"a"))
            await stream.close_send()
            assert [it.value async for it in stream] == [b"a"]
        async with client.open_stream(ECHO["Upload"]) as stream:
            await stream.response()
        with pytest.raises(StatusError):
            async with client.open_stream(ECHO["FailStream"], UInt64Value()) as stream:
                await stream.recv()
    counters = server.counters
    assert counters.calls == 11
    assert counters.calls_ended == {
        Code.OK: 5,
        Code.NOT_FOUND: 2,
        Code.UNKNOWN: 1,
        Code.RESOURCE_EXHAUSTED: 1,
        Code.UNIMPLEMENTED: 1,
        Code.ABORTED: 1,
    }
    assert counters.calls_refused == 1
    assert counters.frames_refused == 0
    assert (counters.connections, counters.connections_refused) == (1, 0)
    assert counters.bytes_received > 0
    assert counters.bytes_sent > 0


async def test_calls_that_the_end_cut_off_are_cancelled() -> None:
    server = Server(services())
    async with connected(server) as client:
        calls = [asyncio.ensure_future(nap(client, 3600)) for _ in range(2)]
        async with client.open_stream(ECHO["EchoStream"]):
            await wait_for(client, "Active", 3)
            before = server.counters
            assert before.calls - sum(before.calls_ended.values()) == 3
            await client.close()
        for call in calls:
            with pytest.raises(Closed):
                await call
    counters = server.counters
    assert counters.calls_ended[Code.CANCELLED] == 3
    assert sum(counters.calls_ended.values()) == counters.calls


async def test_a_call_that_ran_out_of_time_is_counted_once() -> None:
    """Also where the handler goes on, and ends after its caller has been answered."""
    server = Server(services())
    async with connected(server) as client:
        wanted = UInt64Value(value=50_000_000)
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED: "):
            await client.call(ECHO["Stubborn"], wanted, timeout=0.01)
        while server.calls_in_flight:
            await asyncio.sleep(0)
    ended = server.counters.calls_ended
    # On a busy machine the time is over before the call is sent.
    assert ended in ({Code.OK: 0, Code.DEADLINE_EXCEEDED: 1}, {Code.OK: 0})


async def test_refused_calls_are_counted() -> None:
    server = Server(services(), limits=Limits(calls_per_connection=1))
    async with connected(server) as client:
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        with pytest.raises(StatusError, match="^RESOURCE_EXHAUSTED: "):
            await nap(client, 1)
        with pytest.raises(StatusError, match="^RESOURCE_EXHAUSTED: "):
            async with client.open_stream(ECHO["EchoStream"]) as stream:
                await stream.recv()
        shutdown = asyncio.ensure_future(server.shutdown(0.05))
        await asyncio.sleep(0)
        with pytest.raises(StatusError, match="^UNAVAILABLE: "):
            await echo(client, b"late")
        assert not await shutdown
        with pytest.raises(Closed):
            await call
    assert server.counters.calls_refused == 3
    ended = server.counters.calls_ended
    assert ended[Code.RESOURCE_EXHAUSTED] == 2
    assert ended[Code.UNAVAILABLE] == ended[Code.CANCELLED] == 1


async def test_frames_and_bytes_are_counted(tmp_path: Path) -> None:
    ended = asyncio.Event()
    server = Server(services(), disconnected=lambda connection: ended.set())
    await server.listen(f"unix://{tmp_path}/a.sock")
    frames = [
        Frame(2, DATA, 0, b""),
        Frame(7, DATA, 0, b"x"),
        request(1, "Echo"),
        request(1, "Echo"),
    ]

    def exchange() -> int:
        with Wire(f"{tmp_path}/a.sock") as wire:
            wire.send(*frames)
            return sum(len(bytes(it)) for it in wire.receive_many(len(frames)))

    sent = await asyncio.to_thread(exchange)
    await ended.wait()
    counters = server.counters
    assert counters.frames_refused == 3
    assert counters.calls == counters.calls_ended[Code.OK] == 1
    assert counters.bytes_received == sum(len(bytes(it)) for it in frames)
    assert counters.bytes_sent == sent
    server.close()


async def test_connections_are_counted_and_told_of() -> None:
    events: list[tuple[str, str]] = []

    def connected_hook(connection: ServedConnection) -> None:
        assert connection.peer.credentials is not None
        events.append(("connected", str(connection.closed)))

    def disconnected_hook(connection: ServedConnection) -> None:
        events.append(("disconnected", str(connection.closed)))

    server = Server(
        services(),
        limits=Limits(connections=1),
        connected=connected_hook,
        disconnected=disconnected_hook,
    )
    sockets = [socket.socketpair() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for ours, _ in sockets:
            stack.enter_context(ours)
        served, *_ = [server.serve_connection(theirs) for _, theirs in sockets]
        assert events == [("connected", "None")]
    await served.wait_closed()
    assert events[1:] == [("disconnected", "connection: closed by the peer")]
    counters = server.counters
    assert (counters.connections, counters.connections_refused) == (1, 2)


async def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection: ServedConnection) -> None:
        raise ValueError

    server = Server(services(), connected=fail, disconnected=fail)
    async with connected(server) as client:
        assert await echo(client, b"hi") == b"hi"
    assert caplog.messages == 2 * ["connection hook failed"]


async def test_a_server_tells_that_it_stops(caplog: pytest.LogCaptureFixture) -> None:
    """Before calls are refused, and also if the function fails."""
    started, ending = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        ending.set()
        raise ValueError

    async def wait(stream: Any, context: CallContext) -> None:
        started.set()
        await ending.wait()

    method = Method.raw("demo.Wait", "Wait", Cardinality.STREAM_STREAM)
    service = Service("demo.Wait", {"Wait": method})
    server = Server([BoundService(service, {"Wait": wait})], stopping=stop)
    async with connected(server) as client, client.open_stream(method) as stream:
        await started.wait()
        assert await server.shutdown()
        assert await stream.recv() is None
    assert caplog.messages == ["stopping hook failed"]


@pytest.mark.parametrize("name", ["connected", "disconnected", "stopping"])
async def test_a_hook_cannot_be_awaited(name: str) -> None:
    async def hook(*_: object) -> None:
        pass

    with pytest.raises(TypeError, match=f"^{name}: .* must be a plain function$"):
        Server(services(), **{name: hook})  # type: ignore[arg-type]  # a mistake


async def test_a_hook_may_close_the_connection() -> None:
    server = Server(services(), connected=ServedConnection.close)
    ours, theirs = socket.socketpair()
    async with Client(ours) as client:
        connection = server.serve_connection(theirs)
        assert str(connection.closed) == "connection: closed by the server"
        await client.wait_closed()
    await server.wait_closed()
    assert server.connections == 0
