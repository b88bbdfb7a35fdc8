# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextvars
import socket
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.frames import raw_frames
from tests.helpers.peer import ECHO
from tests.helpers.wire import OPEN, data, request
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
from ttrpc.aio import Client, Server
from ttrpc.aio import server_session as module
from ttrpc.aio.testing import connected
from ttrpc.bound_service import Handler
from ttrpc.envelope import decode_response

HI = BytesValue(value=b"hi")
BIG = BytesValue(value=bytes(100_000))


def server_of(handler: Handler, method: str = "Echo", **options: Any) -> Server:
    """A server with one method of `peer.v1.Echo`."""
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, {method: handler})], **options)


def inline(handler: Handler) -> Handler:
    return handler


def in_a_task(handler: Handler) -> Handler:
    async def coroutine(request: Any, context: CallContext) -> Any:
        return handler(request, context)

    return coroutine


KINDS = pytest.mark.parametrize("kind", [inline, in_a_task])


async def ask(client: Client, method: Method[Any, Any]) -> Any:
    if method.cardinality is Cardinality.UNARY_UNARY:
        return await client.call(method, HI, timeout=10)
    async with await client.open_stream(method, timeout=10) as stream:
        return await stream.response()


async def outcome(server: Server, method: str = "Echo") -> tuple[Code | int, str]:
    """Call, expect an error, and see that the connection goes on and nothing leaks."""
    async with connected(server) as client:
        with pytest.raises(StatusError) as caught:
            await ask(client, ECHO[method])
        assert client.closed is None
        assert server.calls_in_flight == 0
    return caught.value.code, caught.value.message


@KINDS
async def test_an_exception_of_a_handler_is_logged_once(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Any, context: CallContext) -> Any:
        raise KeyError("secret of the caller's")

    assert (await outcome(server_of(kind(fail))))[0] is Code.UNKNOWN
    (record,) = caplog.records
    assert record.message == "handler failed"
    assert record.exc_info


@KINDS
async def test_a_status_is_no_news(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Any, context: CallContext) -> Any:
        raise StatusError(Code.INTERNAL, "meant")

    assert await outcome(server_of(kind(fail))) == (Code.INTERNAL, "meant")
    assert not caplog.records


@KINDS
async def test_a_file_name_that_is_no_text_is_shown_all_the_same(kind: Any) -> None:
    """os.fsdecode returns such text, which has no form in UTF-8."""

    def fail(request: Any, context: CallContext) -> Any:
        raise FileNotFoundError(2, "No such file", "/caf\udce9")

    _, message = await outcome(server_of(kind(fail)))
    assert message.endswith("'/caf\\udce9'")


@KINDS
async def test_a_status_that_is_none_is_an_error_of_the_handlers(kind: Any) -> None:
    def fail(request: Any, context: CallContext) -> Any:
        raise StatusError(2**40, "x")

    code, message = await outcome(server_of(kind(fail)))
    assert (code, message) == (Code.UNKNOWN, f"status code {2**40}: not 32 bits")


@KINDS
async def test_a_mapping_that_fails_leaves_the_errors_name(kind: Any) -> None:
    def fail(request: Any, context: CallContext) -> Any:
        raise ValueError("x")

    def status_of(error: BaseException) -> StatusError:
        raise RuntimeError("mapping")

    server = server_of(kind(fail), status_of=status_of)
    assert await outcome(server) == (Code.UNKNOWN, "ValueError")


@pytest.fixture(scope="module")
def incomplete() -> Any:
    """A message that cannot be serialized: its required field is missing."""
    file = descriptor_pb2.FileDescriptorProto(name="needy.proto", syntax="proto2")
    field = file.message_type.add(name="Needy").field.add(name="x", number=1)
    field.type = field.TYPE_INT32
    field.label = field.LABEL_REQUIRED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Needy"))


@pytest.mark.parametrize("cardinality", ["UNARY_UNARY", "STREAM_UNARY"])
@KINDS
async def test_a_response_that_cannot_be_serialized_is_an_error(
    kind: Any, cardinality: str, incomplete: Any
) -> None:
    if cardinality == "STREAM_UNARY":
        kind = in_a_task
    method: Method[Any, Any] = Method(
        "Get", "test.Needy", Cardinality[cardinality], BytesValue, incomplete
    )
    handler = kind(lambda request, context: incomplete())
    service = Service("test.Needy", {"Get": method})
    server = Server([BoundService(service, {"Get": handler})])
    async with connected(server) as client:
        with pytest.raises(StatusError, match=r"UNKNOWN: .*missing required fields"):
            await ask(client, method)
        assert server.calls_in_flight == 0


@pytest.mark.parametrize("method", ["Echo", "Upload"])
@pytest.mark.parametrize("response", [None, "text"])
async def test_a_result_that_is_no_response_is_an_error(
    method: str, response: Any
) -> None:
    handler = in_a_task(lambda request, context: response)
    code, message = await outcome(server_of(handler, method), method)
    assert code is Code.UNKNOWN
    kind = "nothing" if response is None else "str"
    assert (
        message == f"handler or interceptor returned {kind}, not its method's response"
    )


async def test_a_plain_function_may_return_an_awaitable() -> None:
    async def later(request: BytesValue) -> BytesValue:
        return request

    server = server_of(lambda request, context: later(request))
    async with connected(server) as client:
        assert await client.call(ECHO["Echo"], HI) == HI


async def test_an_awaitable_of_a_call_that_is_refused_is_closed() -> None:
    """Otherwise Python warns that it was never awaited, which is an error here."""

    async def later(request: BytesValue) -> BytesValue:
        return request

    limits = Limits(calls_per_connection=0)
    server = server_of(lambda request, context: later(request), limits=limits)
    assert await outcome(server) == (
        Code.RESOURCE_EXHAUSTED,
        "too many calls in flight",
    )


async def test_calls_in_flight_are_limited_over_all_connections() -> None:
    release = asyncio.Event()

    async def wait(request: BytesValue, context: CallContext) -> BytesValue:
        await release.wait()
        return request

    server = server_of(wait, limits=Limits(calls=2))
    async with connected(server) as one, connected(server) as other:
        calls = [
            asyncio.ensure_future(it.call(ECHO["Echo"], HI)) for it in (one, other)
        ]
        while server.calls_in_flight < 2:
            await asyncio.sleep(0)
        with pytest.raises(StatusError, match="too many calls in flight"):
            await one.call(ECHO["Echo"], HI)
        release.set()
        assert await asyncio.gather(*calls) == [HI, HI]
        assert await one.call(ECHO["Echo"], HI) == HI


async def test_held_bytes_are_given_back() -> None:
    """Requests, metadata, unread messages and answers: nothing stays counted."""

    async def echo(request: BytesValue, context: CallContext) -> BytesValue:
        return request

    async def ignore(stream: Any, context: CallContext) -> None:
        await stream.recv()

    service = Service("peer.v1.Echo", ECHO)
    server = Server([BoundService(service, {"Echo": echo, "EchoStream": ignore})])
    async with connected(server) as client:
        for _ in range(3):
            await client.call(ECHO["Echo"], BIG, metadata={"key": "x" * 10_000})
            async with await client.open_stream(ECHO["EchoStream"]) as stream:
                for _ in range(10):
                    await stream.send(BIG)
                assert await stream.recv() is None
        # The last message may be on its way.
        async with asyncio.timeout(10):
            while server._serving.held.used:
                await asyncio.sleep(0)
        assert server._serving.unread.used == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_streams_answer_needs_room_too(fails: bool) -> None:
    """An answer becomes an error when the client has left too much unread."""
    release = asyncio.Event()

    async def make(request: Any, context: CallContext) -> BytesValue:
        await release.wait()
        return BIG

    async def upload(stream: Any, context: CallContext) -> UInt64Value:
        await release.wait()
        await asyncio.sleep(0)  # Behind all the others.
        if fails:
            raise StatusError(Code.ABORTED, "x" * 1000)
        return UInt64Value(value=1)

    service = Service("peer.v1.Echo", ECHO)
    handlers = {"MakeLater": make, "Upload": upload}
    limits = Limits(queued_per_connection=1 << 20)
    server = Server([BoundService(service, handlers)], limits=limits)
    ours, theirs = socket.socketpair()
    server.serve_connection(theirs)
    with ours:
        ours.sendall(b"".join(bytes(request(i, "MakeLater")) for i in range(3, 103, 2)))
        ours.sendall(bytes(request(103, "Upload", flags=OPEN)))
        while server.calls_in_flight < 51:
            await asyncio.sleep(0)
        release.set()
        while server.calls_in_flight:
            await asyncio.sleep(0)
        sent = b""
        ours.setblocking(False)
        while b"left unread" not in sent[-100:] or not server._serving.unread.used == 0:
            await asyncio.sleep(0)
            try:
                sent += ours.recv(1 << 20)
            except BlockingIOError:
                continue
    *_, last = raw_frames(sent)
    assert last[0] == 103
    with pytest.raises(StatusError, match="RESOURCE_EXHAUSTED: too many answers left"):
        decode_response(last[3])
    server.close()
    await server.wait_closed()


async def test_a_failed_stream_cancels_its_waiting_handler() -> None:
    cancelled = asyncio.Event()

    async def stuck(stream: Any, context: CallContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    limits = Limits(stream_inbox=1000)
    server = server_of(stuck, "EchoStream", limits=limits)
    async with connected(server) as client:
        stream = await client.open_stream(ECHO["EchoStream"])
        await stream.send(BIG)
        await stream.send(BIG)
        async with asyncio.timeout(10):
            await cancelled.wait()
            with pytest.raises(StatusError, match="ttrpc: stream buffer full"):
                await stream.recv()


async def test_a_handler_that_does_not_stop_at_its_deadline_is_not_waited_for() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def stubborn(request: BytesValue, context: CallContext) -> BytesValue:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return request

    server = server_of(stubborn)
    async with connected(server) as client:
        with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
            await client.call(ECHO["Echo"], HI, timeout=0.1)
        await started.wait()
        assert server.calls_in_flight == 1
        release.set()
        while server.calls_in_flight:
            await asyncio.sleep(0)
        assert client.closed is None


async def test_a_failure_inside_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls behind it were received and are lost, so no caller may wait for them."""
    server = server_of(lambda request, context: request)
    async with connected(server) as client:
        (session,) = server._sessions
        loop = asyncio.get_running_loop()
        failed = loop.create_future()
        loop.set_exception_handler(lambda _, report: failed.set_result(report))
        monkeypatch.setattr(session.transport, "_receive_frame", None)
        with pytest.raises(Closed, match="connection: "):
            await client.call(ECHO["Echo"], HI, timeout=10)
        assert isinstance((await failed)["exception"], TypeError)


async def echo_stream(stream: Any, context: CallContext) -> None:
    async for message in stream:
        await stream.send(message)


async def first_write(server: Server, *pieces: bytes) -> int:
    """Send pieces; return the bytes of the first write that comes of them.

    A socket of this type keeps the bytes of one write together.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    loop = asyncio.get_running_loop()
    with theirs:
        theirs.setblocking(False)
        with pytest.MonkeyPatch.context() as patch:
            # A server refuses such a socket otherwise.
            patch.setattr("ttrpc.aio.owned_socket.check_connected", lambda sock: None)
            server.serve_connection(ours)
        async with asyncio.timeout(10):
            for piece in pieces:
                await loop.sock_sendall(theirs, piece)
            size = len(await loop.sock_recv(theirs, 1 << 20))
    server.close()
    await server.wait_closed()
    return size


@KINDS
async def test_calls_that_came_together_are_answered_in_one_write(kind: Any) -> None:
    calls = [bytes(request(number, "Echo", HI)) for number in (1, 3, 5)]
    sizes = [
        await first_write(server_of(kind(lambda request, context: request)), piece)
        for piece in (calls[0], b"".join(calls))
    ]
    assert sizes[1] == 3 * sizes[0]


async def test_messages_that_came_together_are_answered_in_one_write() -> None:
    opened = b"".join(bytes(request(i, "EchoStream", flags=OPEN)) for i in (1, 3))
    messages = b"".join(bytes(data(i, HI)) for i in (1, 3, 1))
    server = server_of(echo_stream, "EchoStream")
    assert await first_write(server, opened, messages) == len(messages)


async def test_an_end_does_not_come_with_the_last_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Go's client, when it finds both, may report only the end."""
    monkeypatch.setattr(module, "LINGER", 3600)
    release = asyncio.Event()

    async def wait(request: BytesValue, context: CallContext) -> BytesValue:
        await release.wait()
        return request

    server = server_of(wait)
    async with connected(server) as client:
        call = asyncio.ensure_future(client.call(ECHO["Echo"], HI))
        while not server.calls_in_flight:
            await asyncio.sleep(0)
        down = asyncio.ensure_future(server.shutdown(10))
        await asyncio.sleep(0)
        release.set()
        assert await call == HI
        assert client.closed is None
        await client.close()
        assert await down


async def test_to_shut_down_takes_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LINGER", 3600)
    server = server_of(lambda request, context: request)
    async with connected(server) as client:
        assert await client.call(ECHO["Echo"], HI) == HI
        assert await server.shutdown(0.01), "every call was answered"
        assert server.connections == 0


@KINDS
async def test_context_variables_of_a_handler_end_with_its_call(kind: Any) -> None:
    """The next caller's handler does not see a tenant that the first one's has set."""
    tenant = contextvars.ContextVar("tenant", default=b"nobody")

    def handler(request: BytesValue, context: CallContext) -> BytesValue:
        before = tenant.get()
        tenant.set(request.value)
        return BytesValue(value=before)

    async with connected(server_of(kind(handler))) as client:
        for _ in range(3):
            answer = await client.call(ECHO["Echo"], HI)
            assert answer.value == b"nobody"
