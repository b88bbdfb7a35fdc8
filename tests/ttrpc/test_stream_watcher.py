# SPDX-License-Identifier: Apache-2.0
"""Interceptors that see the messages and the end of streams, on all three sides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, echo, wait_for
from tests.helpers.wire import NO_DATA, OPEN, request
from ttrpc import CallContext, Cardinality, Closed, Code, StatusError, sync
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected
from ttrpc.stream_watcher import tell_end

A, B = BytesValue(value=b"a"), BytesValue(value=b"b")


class Log:
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.ended = asyncio.Event()

    def message_sent(self, message: Any) -> None:
        self.events.append(("sent", message.value))

    def message_received(self, message: Any) -> None:
        self.events.append(("received", message.value))

    def stream_ended(self, error: BaseException | None) -> None:
        self.events.append(("ended", getattr(error, "code", error)))
        self.ended.set()


def streams(context: CallContext) -> bool:
    return context.method.cardinality is not Cardinality.UNARY_UNARY


def on_client(log: Log) -> Any:
    async def intercept(request: Any, context: CallContext, proceed: Any) -> Any:
        result = await proceed(request, context)
        if streams(context):
            result.watch(log)
        return result

    return intercept


def on_server(log: Log) -> Any:
    async def intercept(request: Any, context: CallContext, proceed: Any) -> Any:
        if streams(context):
            request.watch(log)
        return await proceed(request, context)

    return intercept


def both() -> tuple[Log, Log, Any]:
    ours, theirs = Log(), Log()
    server = Server(services(), interceptors=[on_server(theirs)])
    return ours, theirs, connected(server, interceptors=[on_client(ours)])


async def test_each_message_and_the_end_are_seen() -> None:
    ours, theirs, pair = both()
    async with pair as client, client.open_stream(ECHO["EchoStream"]) as stream:
        assert await echo(client, b"unary") == b"unary"
        for message in (A, B):
            await stream.send(message)
            assert await stream.recv() == message
        await stream.close_send()
        assert await stream.recv() is None
    both_ways = [(way, it) for it in (b"a", b"b") for way in ("sent", "received")]
    assert ours.events == [*both_ways, ("ended", None)]
    mirrored = [(way, it) for it in (b"a", b"b") for way in ("received", "sent")]
    assert theirs.events == [*mirrored, ("ended", None)]


async def test_a_download_and_an_upload_are_seen() -> None:
    ours, theirs, pair = both()
    async with pair as client:
        wanted = UInt64Value(value=2 << 32 | 1)
        async with client.open_stream(ECHO["Download"], wanted) as stream:
            assert [it.value async for it in stream] == 2 * [b"\0"]
        async with client.open_stream(ECHO["Upload"]) as stream:
            await stream.send(A)
            await stream.response()
    received = ("received", b"\0")
    total = ("received", 1 << 32 | 1)
    # The reader takes a message after it, and the end behind it, have arrived.
    assert sorted(ours.events[:3]) == [("ended", None), received, received]
    assert ours.events[3] == ("sent", b"a")
    assert sorted(ours.events[4:]) == [("ended", None), total]
    assert theirs.events[:4] == [
        ("received", wanted.value),
        *(2 * [("sent", b"\0")]),
        ("ended", None),
    ]
    assert theirs.events[4:] == [("received", b"a"), ("ended", None)]


async def test_the_error_of_a_handler_is_seen() -> None:
    ours, theirs, pair = both()
    first = UInt64Value()
    async with pair as client, client.open_stream(ECHO["FailStream"], first) as it:
        with pytest.raises(StatusError, match="^ABORTED: enough$"):
            await it.recv()
    assert ours.events == [("ended", Code.ABORTED)]
    assert theirs.events == [("received", 0), ("ended", Code.ABORTED)]


async def test_a_deadline_is_seen() -> None:
    ours, _, pair = both()
    async with pair as client:
        # On a busy machine the deadline may pass before the stream is open.
        while not ours.events:
            with pytest.raises(StatusError):
                async with client.open_stream(ECHO["EchoStream"], timeout=0.02) as it:
                    await it.recv()
    assert ours.events == [("ended", Code.DEADLINE_EXCEEDED)]


async def test_a_deadline_is_seen_on_the_server() -> None:
    """The client here has no deadline of its own, and so does not end the stream."""
    theirs = Log()
    server = Server(services(), interceptors=[on_server(theirs)])
    ours, sock = socket.socketpair()
    with ours:
        server.serve_connection(sock)
        opening = request(
            1, "EchoStream", flags=OPEN | NO_DATA, timeout_nano=20_000_000
        )
        ours.sendall(bytes(opening))
        await theirs.ended.wait()
        server.close()
        await server.wait_closed()
    assert theirs.events == [("ended", Code.DEADLINE_EXCEEDED)]


async def test_the_end_of_a_connection_is_seen() -> None:
    ours, theirs, pair = both()
    async with pair as client, client.open_stream(ECHO["EchoStream"]):
        await wait_for(client, "Active", 1)
        await client.close()
        await theirs.ended.wait()
    assert ours.events == theirs.events == [("ended", Code.UNAVAILABLE)]


async def test_an_abandoned_stream_has_ended() -> None:
    ours, theirs, pair = both()
    async with pair as client:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            await stream.send(A)
        assert ours.events == [("sent", b"a"), ("ended", Code.UNAVAILABLE)]
        await theirs.ended.wait()
    assert theirs.events[-1] == ("ended", None)


async def test_a_handler_that_is_cancelled_for_no_cause_of_the_stream() -> None:
    theirs = Log()

    async def cancel(request: Any, context: CallContext, proceed: Any) -> Any:
        request.watch(theirs)
        raise asyncio.CancelledError

    server = Server(services(), interceptors=[cancel])
    async with connected(server) as client:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            with pytest.raises(StatusError, match="^CANCELLED: "):
                await stream.recv()
    (event,) = theirs.events
    assert isinstance(event[1], asyncio.CancelledError)


async def test_a_stream_that_has_ended_already_says_so_at_once() -> None:
    log, later = Log(), Log()
    async with connected(Server(services())) as client:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            stream.watch(log)
        stream.watch(later)
    assert log.events == later.events == [("ended", Code.UNAVAILABLE)]


class Picky:
    """Takes no message and no end."""

    def message_sent(self, message: Any) -> None:
        raise ValueError("sent")

    def message_received(self, message: Any) -> None:
        raise ValueError("received")

    def stream_ended(self, error: BaseException | None) -> None:
        raise ValueError("ended")


async def test_an_error_of_a_watcher_is_the_senders_or_the_readers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected(Server(services())) as client:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            stream.watch(Picky())
            with pytest.raises(ValueError, match="^sent$"):
                await stream.send(A)
            with pytest.raises(ValueError, match="^received$"):
                await stream.recv()
        assert await echo(client, b"hi") == b"hi"
    assert caplog.messages == ["watcher of a stream failed"]


def test_one_watcher_that_fails_does_not_hide_the_end_from_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log()
    tell_end([Picky(), log], Closed("gone"))
    assert log.events == [("ended", Code.UNAVAILABLE)]
    assert caplog.messages == ["watcher of a stream failed"]


def test_all_watchers_are_told_before_the_program_ends() -> None:
    class Interrupted(Log):
        def stream_ended(self, error: BaseException | None) -> None:
            raise KeyboardInterrupt

    log = Log()
    with pytest.raises(KeyboardInterrupt):
        tell_end([Interrupted(), log], None)
    assert log.events == [("ended", None)]


def test_the_blocking_client_has_watchers_too(our_server: str) -> None:
    log, later = Log(), Log()

    def intercept(request: Any, context: CallContext, proceed: Any) -> Any:
        result = proceed(request, context)
        result.watch(log)
        return result

    address = f"unix://{our_server}"
    with sync.Client.connect(address, interceptors=[intercept]) as client:
        with client.open_stream(ECHO["EchoStream"]) as stream:
            stream.send(A)
            assert stream.recv() == A
            stream.close_send()
            assert stream.recv() is None
        stream.watch(later)
    assert log.events == [("sent", b"a"), ("received", b"a"), ("ended", None)]
    assert later.events == [("ended", None)]


class Closing(Log):
    """Closes a stream at the end of another, as a proxy; may end the program."""

    def __init__(self, stream: Any, exit: type[BaseException] | None) -> None:
        super().__init__()
        self._stream = stream
        self._exit = exit

    def stream_ended(self, error: BaseException | None) -> None:
        super().stream_ended(error)
        self._stream.close()
        if self._exit is not None:
            raise self._exit


@pytest.mark.parametrize("exit", [None, SystemExit])
async def test_the_end_of_a_connection_is_told_to_all_streams(
    exit: type[BaseException] | None,
) -> None:
    causes: list[Closed] = []
    server = Server(services())
    ours, theirs = socket.socketpair()
    server.serve_connection(theirs)
    client = Client(ours, disconnected=causes.append)
    streams = [await client.open_stream(ECHO["EchoStream"]) for _ in range(3)]
    # Each closes the next: also one that has not been told.
    logs = [Closing(streams[n - 2], exit) for n in range(3)]
    for stream, log in zip(streams, logs, strict=True):
        stream.watch(log)
    with pytest.raises(SystemExit) if exit else contextlib.nullcontext():
        await client.close()
    assert [log.events for log in logs] == 3 * [[("ended", Code.UNAVAILABLE)]]
    for stream in streams:
        with pytest.raises(Closed, match="closed on this side"):
            await stream.recv()
    assert len(causes) == 1
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("exit", [None, SystemExit])
def test_the_blocking_client_tells_all_streams_of_the_end(
    our_server: str, exit: type[BaseException] | None
) -> None:
    causes: list[Closed] = []
    address = f"unix://{our_server}"
    client = sync.Client.connect(address, disconnected=causes.append)
    streams = [client.open_stream(ECHO["EchoStream"]) for _ in range(3)]
    logs = [Closing(streams[n - 2], exit) for n in range(3)]
    for stream, log in zip(streams, logs, strict=True):
        stream.watch(log)
    with pytest.raises(SystemExit) if exit else contextlib.nullcontext():
        client.close()
    assert [log.events for log in logs] == 3 * [[("ended", Code.UNAVAILABLE)]]
    assert len(causes) == 1


async def test_many_watchers_of_one_stream() -> None:
    logs = [Log() for _ in range(3)]

    async def use(client: Client) -> None:
        async with client.open_stream(ECHO["EchoStream"]) as stream:
            for log in logs:
                stream.watch(log)
            await stream.send(A)
            assert await stream.recv() == A

    async with connected(Server(services())) as client:
        await use(client)
    wanted = [("sent", b"a"), ("received", b"a"), ("ended", Code.UNAVAILABLE)]
    assert [log.events for log in logs] == 3 * [wanted]
