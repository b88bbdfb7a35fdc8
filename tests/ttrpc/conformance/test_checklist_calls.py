# SPDX-License-Identifier: Apache-2.0
"""The checks of Go's own tests of calls and connections, made with our side.

The numbers are those of the list of behaviours that ttrpc implementations test.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, StringValue, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.interop import go_peer
from tests.helpers.peer import ECHO, LIMIT, SECOND, echo, nap, wait_for
from tests.helpers.wire import DATA, REQUEST, Frame
from ttrpc import (
    CallContext,
    Cardinality,
    Closed,
    Code,
    Metadata,
    Method,
    OversizedMessage,
    Peer,
    ServerClosed,
    Service,
    StatusError,
)
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected
from ttrpc.frame_decoder import FrameDecoder


async def connections(server: Server, wanted: int) -> None:
    """Wait until the server has so many connections."""
    async with asyncio.timeout(10):
        while server.connections != wanted:
            await asyncio.sleep(0)


async def test_01_concurrent_calls_get_their_own_results(client: Client) -> None:
    async def ask(key: str) -> str:
        metadata = {key: f"value of {key}"}
        request = StringValue(value=key)
        answer = await client.call(ECHO["Metadata"], request, metadata=metadata)
        return str(answer.value)

    answers = await asyncio.gather(*(ask(key) for key in "ab"))
    assert answers == ["value of a", "value of b"]


async def test_02_unknown_method_is_a_status(client: Client) -> None:
    nope: Method[Any, Any] = Method(
        "Nope", "peer.v1.Echo", Cardinality.UNARY_UNARY, Empty, Empty
    )
    with pytest.raises(StatusError) as caught:
        await client.call(nope, Empty())
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.message == "method Nope"


async def test_03_listener_that_does_not_listen(
    server: Server, address: str, tmp_path: Path
) -> None:
    """The error is raised at once, and other listeners go on."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "other.sock"))
        with pytest.raises(ValueError, match="^socket: does not listen$"):
            await server.listen(listener)
    async with await Client.connect(address) as client:
        assert await echo(client, b"other") == b"other"
    assert await server.shutdown(10)


async def test_04_shutdown_finishes_running_calls(server: Server, address: str) -> None:
    """Go's server may cut these calls (and its test lets it); ours may not."""
    busy = await Client.connect(address)
    idle = await Client.connect(address)
    calls = [asyncio.ensure_future(nap(busy, 0.2)) for _ in range(5)]
    await wait_for(idle, "Active", 5)
    assert await server.shutdown(10)
    assert await asyncio.gather(*calls) == [None] * 5
    assert server.connections == 0
    for client in (busy, idle):
        with pytest.raises(Closed):
            await echo(client, b"after")
    with pytest.raises(Closed):
        await Client.connect(address)


async def test_04_shutdown_cuts_calls_that_take_too_long(
    server: Server, address: str
) -> None:
    async with await Client.connect(address) as client:
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        assert not await server.shutdown(0.05)
        with pytest.raises(Closed):
            await call
    assert server.connections == 0


async def test_04_shutdown_takes_nothing_new(server: Server, address: str) -> None:
    """Go's server goes on serving new calls of a connection that is draining."""
    async with await Client.connect(address) as client:
        call = asyncio.ensure_future(nap(client, 0.2))
        await wait_for(client, "Active", 1)
        down = asyncio.ensure_future(server.shutdown(10))
        await asyncio.sleep(0)
        with pytest.raises(StatusError) as caught:
            await echo(client, b"new")
        assert caught.value.code is Code.UNAVAILABLE
        await call
        assert await down


async def test_05_close_ends_everything(server: Server, address: str) -> None:
    async with await Client.connect(address) as client:
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        server.close()
        with pytest.raises(Closed):
            await call
    server.close()
    await server.wait_closed()


async def test_06_shutdown_before_listening(tmp_path: Path) -> None:
    server = Server(services())
    assert await server.shutdown(1)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "late.sock"))
    with pytest.raises(ServerClosed):
        await server.listen(listener)
    assert listener.fileno() == -1


async def test_07_oversized_call(server: Server, client: Client) -> None:
    with pytest.raises(OversizedMessage) as caught:
        await client.call(ECHO["Len"], BytesValue(value=bytes(LIMIT)))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert await echo(client, b"still") == b"still"
    await client.close()
    assert await server.shutdown(10)


async def test_08_server_closed_under_the_client(
    server: Server, client: Client
) -> None:
    assert await echo(client, b"before") == b"before"
    server.close()
    await server.wait_closed()
    with pytest.raises(Closed):
        await echo(client, b"after")


async def test_09_the_handler_sees_the_deadline(client: Client) -> None:
    left = (await client.call(ECHO["Deadline"], Empty(), timeout=600)).value
    assert 599 * SECOND < left <= 600 * SECOND


async def test_10_connections_do_not_leak(server: Server, address: str) -> None:
    for _ in range(20):
        async with await Client.connect(address) as client:
            await echo(client, b"x")
            assert server.connections == 1
        await connections(server, 0)


async def test_11_peers_are_known_by_their_credentials(address: str) -> None:
    seen: list[Peer] = []

    def same_user(peer: Peer) -> bool:
        seen.append(peer)
        return peer.credentials is not None and peer.credentials.uid == os.getuid()

    server = Server(services(), authorize=same_user)
    await server.listen(address)
    async with await Client.connect(address) as client:
        assert await echo(client, b"hi") == b"hi"
    server.close()
    await server.wait_closed()
    (peer,) = seen
    assert peer.credentials is not None
    assert peer.credentials.pid == os.getpid()


@pytest.mark.interop
@pytest.mark.timeout(300)
async def test_11_go_knows_ours_by_its_credentials(
    go_programs: Path, tmp_path: Path
) -> None:
    path = str(tmp_path / "go.sock")
    with go_peer(go_programs, path, "-same-user"):
        async with await Client.connect(f"unix://{path}") as client:
            assert await echo(client, b"hi") == b"hi"


async def test_12_the_server_closes_its_socket_too(
    server: Server, address: str
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    clients = [await Client.connect(address) for _ in range(10)]
    for client in clients:
        await echo(client, b"x")
    for client in clients:
        await client.close()
    await connections(server, 0)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_13_closing_fails_the_calls_that_wait(
    server: Server, address: str
) -> None:
    """Go has a callback for it; here every call fails and `closed` names the cause."""
    client = await Client.connect(address)
    assert client.closed is None
    call = asyncio.ensure_future(nap(client, 3600))
    async with await Client.connect(address) as other:
        await wait_for(other, "Active", 1)
    await client.close()
    await client.close()
    with pytest.raises(Closed, match="closed on this side"):
        await call
    assert "closed on this side" in str(client.closed)


def test_14_frames_through_a_pipe() -> None:
    frames = [
        Frame(1, REQUEST, 0, b"hello"),
        Frame(3, DATA, 5, b""),
        Frame(5, DATA, 0, bytes(100_000)),
        Frame(7, 9, 0xF0, b"end"),
    ]
    near, far = socket.socketpair()
    decoder = FrameDecoder()
    received = []
    with near, far:
        for frame in frames:
            near.settimeout(10)
            data = memoryview(bytes(frame))
            while data:
                data = data[near.send(data[:4096]) :]
                received += decoder.receive(far.recv(8192))
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b""
    assert [Frame(i, t, f, bytes(body)) for i, t, f, body in received] == frames
    assert decoder.is_idle


async def test_15_an_oversized_message_is_not_written(client: Client) -> None:
    with pytest.raises(OversizedMessage) as caught:
        await client.call(ECHO["Len"], BytesValue(value=bytes(27 * LIMIT // 8)))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert caught.value.length > 13 << 20
    assert caught.value.limit == LIMIT
    assert await echo(client, b"still") == b"still"


def test_16_full_method_names() -> None:
    foo: Method[Any, Any] = Method(
        "Foo", "test.v1.service", Cardinality.UNARY_UNARY, Empty, Empty
    )
    assert foo.full_method == "/test.v1.service/Foo"


def test_21_metadata() -> None:
    metadata = Metadata([("Key", "1"), ("other", "x")])
    assert metadata.get("KEY") == "1"
    assert metadata.get("none") is None
    metadata.add("key", "2")
    assert metadata.get_all("Key") == ["1", "2"]
    metadata.set("key", "3")
    assert metadata.get_all("key") == ["3"]
    copied = metadata.copy()
    metadata.set("key")
    assert "key" not in metadata
    assert copied.get_all("key") == ["3"]


@pytest.mark.parametrize("names", [["only"], ["outer", "middle", "inner"]])
async def test_22_interceptors_run_in_order(address: str, names: list[str]) -> None:
    order: list[str] = []

    def link(side: str, name: str) -> Any:
        async def interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
            order.append(f"{side} {name} {context.method.full_method}")
            response = await proceed(request, context)
            order.append(f"{side} {name} done")
            return response

        return interceptor

    server = Server(services(), interceptors=[link("server", name) for name in names])
    await server.listen(address)
    ours = [link("client", name) for name in names]
    async with await Client.connect(address, interceptors=ours) as client:
        assert await echo(client, b"hi") == b"hi"
    server.close()
    await server.wait_closed()
    method = "/peer.v1.Echo/Echo"
    sides = [(side, name) for side in ("client", "server") for name in names]
    down = [f"{side} {name} {method}" for side, name in sides]
    up = [f"{side} {name} done" for side, name in reversed(sides)]
    assert order == down + up


async def test_22_interceptors_wrap_streams() -> None:
    """In Go, interceptors are for unary calls only."""
    seen: list[str] = []

    class Counted:
        """A stream that records the messages passing an interceptor."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[BytesValue]:
            async for message in self._stream:
                seen.append(f"received {message.value!r}")
                yield message

    async def on_server(stream: Any, context: CallContext, proceed: Any) -> Any:
        seen.append(f"opened by {context.metadata.get('who')}")
        total = await proceed(Counted(stream), context)
        seen.append(f"answered {total.value & 0xFFFFFFFF}")
        return total

    async def on_client(request: Any, context: CallContext, proceed: Any) -> Any:
        context.metadata.add("who", "us")
        stream = await proceed(request, context)
        seen.insert(0, context.method.full_method)
        return stream

    server = Server(services(), interceptors=[on_server])
    async with connected(server, interceptors=[on_client]) as client:
        async with await client.open_stream(ECHO["Upload"]) as stream:
            await stream.send(BytesValue(value=b"hi"))
            await stream.response()
    opened = ["/peer.v1.Echo/Upload", "opened by us"]
    assert seen == [*opened, "received b'hi'", "answered 2"]


async def test_22_interceptors_may_refuse(address: str) -> None:
    async def refuse(request: Any, context: CallContext, proceed: Any) -> Any:
        raise StatusError(Code.PERMISSION_DENIED, context.method.name)

    server = Server(services(), interceptors=[refuse])
    await server.listen(address)
    async with await Client.connect(address) as client:
        with pytest.raises(StatusError) as caught:
            await echo(client, b"hi")
        assert (caught.value.code, caught.value.message) == (
            Code.PERMISSION_DENIED,
            "Echo",
        )
        stream = await client.open_stream(ECHO["EchoStream"])
        with pytest.raises(StatusError) as caught:
            await stream.recv()
        assert caught.value.message == "EchoStream"
    server.close()
    await server.wait_closed()


def test_a_second_service_of_a_name_is_refused() -> None:
    """Go panics here, and Rust replaces the first one."""
    bound = services()[0]
    assert isinstance(bound.service, Service)
    with pytest.raises(ValueError, match=r"peer\.v1\.Echo"):
        Server([bound, bound])


async def test_a_call_after_its_deadline_is_not_sent(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        await client.call(ECHO["Sleep"], UInt64Value(value=0), timeout=0)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert await echo(client, b"still") == b"still"


@pytest.mark.parametrize("count", [16, 100])
async def test_large_calls_at_once_do_not_lock_up(our_server: str, count: int) -> None:
    """Both sides write more than the sockets hold; Go's library deadlocked here."""
    value = bytes(1 << 20)
    async with (
        asyncio.timeout(30),
        await Client.connect(f"unix://{our_server}") as client,
    ):
        answers = await asyncio.gather(*(echo(client, value) for _ in range(count)))
    assert answers == [value] * count
