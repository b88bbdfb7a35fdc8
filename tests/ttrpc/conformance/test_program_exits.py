# SPDX-License-Identifier: Apache-2.0
"""An error that ends the program ends it, and no caller is left to wait."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.leaks import left_of_serving
from tests.helpers.peer import ECHO
from tests.helpers.wire import CLOSED, DATA, OPEN, Frame, request
from ttrpc import BoundService, CallContext, Closed, Code, Service, StatusError
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected

PATIENCE: Final = 10.0
HI: Final = BytesValue(value=b"hi")
LEN: Final = bytes(request(3, "Len", HI))


class Interruption(BaseException):
    """An error of the program's own that no `except Exception` catches."""


ENDS: Final = [SystemExit, KeyboardInterrupt]
OTHERS: Final = [GeneratorExit, asyncio.CancelledError, Interruption]


def size(request: BytesValue, context: CallContext) -> UInt64Value:
    return UInt64Value(value=len(request.value))


def plain(kind: type[BaseException]) -> Any:
    def handler(request: Any, context: CallContext) -> Any:
        raise kind

    return handler


def coroutine(kind: type[BaseException]) -> Any:
    async def handler(request: Any, context: CallContext) -> Any:
        raise kind

    return handler


def coroutine_of_a_plain_one(kind: type[BaseException]) -> Any:
    handler = coroutine(kind)
    return lambda request, context: handler(request, context)


def after_a_message(kind: type[BaseException]) -> Any:
    async def handler(stream: Any, context: CallContext) -> Any:
        await stream.recv()
        raise kind

    return handler


def server_of(handler: Any, method: str = "Echo", **options: Any) -> Server:
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, {method: handler, "Len": size})], **options)


def opening(method: str) -> bytes:
    """A request, or one that opens a stream and leaves the client's side open."""
    if method == "Echo":
        return bytes(request(1, method, HI))
    flags = CLOSED if method == "Download" else OPEN
    return bytes(request(1, method, HI, flags=flags))


class Program:
    """A server in a loop that goes on after an error that has ended it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client, self.ours = socket.socketpair()
        self.client.settimeout(PATIENCE)
        self.runner = asyncio.Runner()

    def run(self, program: Coroutine[Any, Any, None]) -> None:
        async def patient() -> None:
            async with asyncio.timeout(PATIENCE):
                await program

        self.runner.run(patient())

    async def serve(self) -> None:
        self.server.serve_connection(self.ours)
        await asyncio.Event().wait()

    async def end(self) -> None:
        self.client.close()
        await self.server.wait_closed()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self.client.close()
        self.ours.close()


def answers(sock: socket.socket, count: int) -> bytes:
    """Return the bytes of `count` frames."""
    got = b""
    with sock.makefile("rb") as file:
        for _ in range(count):
            head = file.read(10)
            got += head + file.read(int.from_bytes(head[:4]))
    return got


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize(
    ("method", "handler"),
    [
        ("Echo", plain),
        ("Echo", coroutine),
        ("Echo", coroutine_of_a_plain_one),
        ("EchoStream", coroutine),
        ("EchoStream", after_a_message),
        ("Upload", coroutine),
        ("Download", after_a_message),
    ],
)
def test_a_handler_is_answered_for_and_so_are_the_calls_beside_it(
    method: str, handler: Any, kind: type[BaseException]
) -> None:
    with Program(server_of(handler(kind), method)) as program:
        program.client.sendall(opening(method) + LEN)
        with pytest.raises(kind):
            program.run(program.serve())
        got = answers(program.client, 2)
        assert kind.__name__.encode() in got
        assert UInt64Value(value=2).SerializeToString() in got
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


@pytest.mark.parametrize("kind", ENDS)
def test_a_handler_that_a_message_wakes_is_answered_for(
    kind: type[BaseException],
) -> None:
    """It goes on while the message's batch of frames is being dealt with."""
    with Program(server_of(after_a_message(kind), "EchoStream")) as program:
        stream = bytes(request(1, "EchoStream", flags=OPEN))

        async def serve() -> None:
            program.server.serve_connection(program.ours)
            program.client.sendall(stream)
            while not program.server.calls_in_flight:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            program.client.sendall(bytes(Frame(1, DATA, 0, b"")) + LEN)
            await asyncio.Event().wait()

        with pytest.raises(kind):
            program.run(serve())
        assert kind.__name__.encode() in answers(program.client, 2)
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


@pytest.mark.parametrize("kind", ENDS)
def test_a_handler_whose_call_is_over_still_ends_the_program(
    kind: type[BaseException],
) -> None:
    entered: list[Any] = []

    async def late(request: Any, context: CallContext) -> Any:
        entered.append(request)
        try:
            await asyncio.Event().wait()
        finally:
            raise kind

    with Program(server_of(late)) as program:

        async def serve() -> None:
            program.server.serve_connection(program.ours)
            while not entered:
                await asyncio.sleep(0)
            program.client.close()
            await asyncio.Event().wait()

        program.client.sendall(opening("Echo"))
        with pytest.raises(kind):
            program.run(serve())
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize(
    ("method", "handler"),
    [("Echo", plain), ("Echo", coroutine), ("EchoStream", coroutine)],
)
@pytest.mark.parametrize("first", [ValueError, *ENDS])
def test_a_mapping_that_ends_the_program(
    method: str, handler: Any, kind: type[BaseException], first: type[BaseException]
) -> None:
    def status_of(error: BaseException) -> StatusError:
        raise kind

    server = server_of(handler(first), method, status_of=status_of)
    with Program(server) as program:
        program.client.sendall(opening(method) + LEN)
        with pytest.raises(first if first in ENDS else kind):
            program.run(program.serve())
        assert first.__name__.encode() in answers(program.client, 2)
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("method", ["Echo", "EchoStream"])
async def test_a_mapping_that_raises_any_other_error(
    method: str, kind: type[BaseException]
) -> None:
    def status_of(error: BaseException) -> StatusError:
        raise kind

    server = server_of(coroutine(ValueError), method, status_of=status_of)
    assert (await outcome(server, method)).message == "ValueError"


@pytest.mark.parametrize("kind", [*ENDS, *OTHERS])
@pytest.mark.parametrize("method", ["Echo", "EchoStream"])
@pytest.mark.parametrize("after", [False, True])
def test_an_interceptor(method: str, kind: type[BaseException], after: bool) -> None:
    async def intercept(request: Any, context: CallContext, proceed: Any) -> Any:
        if context.method.name != "Len":
            if after:
                await proceed(request, context)
            raise kind
        return await proceed(request, context)

    async def handler(request: Any, context: CallContext) -> Any:
        return request if method == "Echo" else None

    server = server_of(handler, method, interceptors=[intercept])
    with Program(server) as program:
        program.client.sendall(opening(method) + LEN)
        if kind in ENDS:
            with pytest.raises(kind):
                program.run(program.serve())
        else:
            program.run(answered(program))
        got = answers(program.client, 2)
        name = "canceled" if kind is asyncio.CancelledError else kind.__name__
        assert name.encode() in got
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


async def answered(program: Program) -> None:
    program.server.serve_connection(program.ours)
    while sum(program.server.counters.calls_ended.values()) < 2:
        await asyncio.sleep(0)


async def unary(client: Client) -> None:
    await client.call(ECHO["Echo"], HI)


async def stream(client: Client, name: str) -> None:
    async with client.open_stream(ECHO[name]) as it:
        await it.recv()


async def outcome(server: Server, method: str) -> StatusError:
    """Return the error of a call; the connection lives on."""
    async with asyncio.timeout(PATIENCE), connected(server) as client:
        with pytest.raises(StatusError) as caught:
            await (unary(client) if method == "Echo" else stream(client, method))
        assert await client.call(ECHO["Len"], HI) == UInt64Value(value=2)
    return caught.value


@pytest.mark.parametrize("kind", OTHERS)
async def test_an_authorization_that_raises_refuses(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(peer: object) -> bool:
        raise kind

    server = server_of(size, authorize=authorize)
    ours, theirs = socket.socketpair()
    async with asyncio.timeout(PATIENCE), Client(ours) as client:
        refused = server.serve_connection(theirs)
        assert str(refused.closed) == "connection: not authorized"
        with pytest.raises(Closed):
            await client.call(ECHO["Len"], HI)
    assert caplog.messages == ["authorize callback failed, connection refused"]


@pytest.mark.parametrize("kind", ENDS)
async def test_an_authorization_that_ends_the_program_hangs_up(
    kind: type[BaseException],
) -> None:
    def authorize(peer: object) -> bool:
        raise kind

    ours, theirs = socket.socketpair()
    async with asyncio.timeout(PATIENCE), Client(ours) as client:
        with pytest.raises(kind):
            server_of(size, authorize=authorize).serve_connection(theirs)
        with pytest.raises(Closed):
            await client.call(ECHO["Len"], HI)


@pytest.mark.parametrize("kind", OTHERS)
async def test_hooks_that_raise_change_nothing(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def hook(*_: object) -> None:
        raise kind

    hooks: dict[str, Any] = {"connected": hook, "disconnected": hook}
    server = server_of(size, **hooks, stopping=hook)
    ours, theirs = socket.socketpair()
    async with asyncio.timeout(PATIENCE), Client(ours, **hooks) as client:
        server.serve_connection(theirs)
        assert await client.call(ECHO["Len"], HI) == UInt64Value(value=2)
        assert await server.shutdown()
    assert caplog.messages.count("connection hook failed") == 4
    assert caplog.messages.count("stopping hook failed") == 1


class Watcher:
    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def message_sent(self, message: Any) -> None:
        pass

    def message_received(self, message: Any) -> None:
        pass

    def stream_ended(self, error: BaseException | None) -> None:
        raise self.kind


def watching(kind: type[BaseException]) -> Any:
    async def handler(stream: Any, context: CallContext) -> None:
        stream.watch(Watcher(kind))
        raise ValueError("the handler's")

    return handler


@pytest.mark.parametrize("kind", OTHERS)
async def test_a_watcher_that_raises_changes_nothing(
    kind: type[BaseException],
) -> None:
    error = await outcome(server_of(watching(kind), "EchoStream"), "EchoStream")
    assert (error.code, error.message) == (Code.UNKNOWN, "the handler's")


@pytest.mark.parametrize("kind", ENDS)
def test_a_watcher_that_ends_the_program(kind: type[BaseException]) -> None:
    with Program(server_of(watching(kind), "EchoStream")) as program:
        program.client.sendall(opening("EchoStream") + LEN)
        with pytest.raises(kind):
            program.run(program.serve())
        assert b"the handler's" in answers(program.client, 2)
        program.run(program.end())
        assert left_of_serving(program.server._serving) == {}


class Failing:
    """A stream, one of whose methods raises."""

    def __init__(self, method: str, kind: type[BaseException]) -> None:
        self.method = method
        self.kind = kind

    async def receive(self) -> bytes:
        if self.method == "receive":
            raise self.kind
        await asyncio.Event().wait()
        return b""

    async def send(self, data: bytes) -> None:
        if self.method == "send":
            raise self.kind

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("method", ["receive", "send"])
async def test_a_stream_that_raises_ends_the_connection(
    method: str, kind: type[BaseException]
) -> None:
    async with asyncio.timeout(PATIENCE), Client(Failing(method, kind)) as client:
        with pytest.raises(Closed, match=kind.__name__):
            await client.call(ECHO["Len"], HI)


PROGRAM: Final = """\
import asyncio, os, sys
from google.protobuf.wrappers_pb2 import BytesValue
from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc import BoundService, Service
from ttrpc.aio import Server

def echo(request, context):
    if request.value == b"status":
        sys.exit(3)
    raise KeyboardInterrupt

async def main():
    service = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"])
    async with Server([BoundService(service, {"Echo": echo})]) as server:
        await server.listen("unix://" + sys.argv[1])
        print("listens", flush=True)
        await server.serve_until_signal()

asyncio.run(main())
"""


@pytest.mark.parametrize(("value", "status"), [(b"status", 3), (b"", -signal.SIGINT)])
async def test_a_program_ends_with_the_status_that_its_handler_asked_for(
    value: bytes, status: int, tmp_path: Path
) -> None:
    address = tmp_path / "a.sock"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        async with await Client.connect(f"unix://{address}") as client:
            with pytest.raises(StatusError):
                await client.call(ECHO["Echo"], BytesValue(value=value))
        await asyncio.to_thread(process.communicate)
    assert process.returncode == status
