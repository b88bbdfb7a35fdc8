# SPDX-License-Identifier: Apache-2.0
"""asyncio's ways to run: as it is, in its debug mode, on uvloop, with eager tasks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.leaks import left_of_serving, left_of_session
from tests.helpers.peer import ECHO
from tests.helpers.wire import RESPONSE, Frame, request
from ttrpc import BoundService, CallContext, Closed, Code, Service, StatusError
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected
from ttrpc.envelope_pb2 import Response

HI = BytesValue(value=b"hi")
PATIENCE = 20.0
Loop = asyncio.AbstractEventLoop


def plain() -> Loop:
    return asyncio.new_event_loop()


def debug() -> Loop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


def uvloop() -> Loop:
    # Not at the top: no other test needs it.
    import uvloop

    return uvloop.new_event_loop()


def eager() -> Loop:
    loop = asyncio.new_event_loop()
    factory: Any = vars(asyncio)["eager_task_factory"]
    loop.set_task_factory(factory)
    return loop


LOOPS = pytest.mark.parametrize(
    "loop",
    # Python 3.11 has no eager tasks: test_pythons.py runs these on later versions.
    [plain, debug, uvloop, *([eager] if sys.version_info >= (3, 12) else [])],
)


class Echo:
    """Handlers whose first step answers, waits, or ends the connection."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.waiting = 0

    async def echo(self, request: BytesValue, context: CallContext) -> BytesValue:
        if request.value == b"close":
            assert self.server is not None
            self.server.close()
        elif request.value == b"wait":
            self.waiting += 1
            await asyncio.Event().wait()
        elif request.value == b"exit":
            raise SystemExit
        return request

    async def echo_stream(self, stream: Any, context: CallContext) -> None:
        async for message in stream:
            await stream.send(message)

    async def upload(self, stream: Any, context: CallContext) -> UInt64Value:
        return UInt64Value(value=len([message async for message in stream]))

    async def download(self, stream: Any, context: CallContext) -> None:
        for _ in range(3):
            await stream.send(HI)


def serve(echo: Echo) -> Server:
    handlers: dict[str, Any] = {
        "Echo": echo.echo,
        "EchoStream": echo.echo_stream,
        "Upload": echo.upload,
        "Download": echo.download,
    }
    echo.server = Server([BoundService(Service("peer.v1.Echo", ECHO), handlers)])
    return echo.server


def run(loop: Callable[[], Loop], program: Coroutine[Any, Any, object]) -> None:
    async def patient() -> None:
        async with asyncio.timeout(PATIENCE):
            await program

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(patient())


async def received(stream: AsyncIterator[Any]) -> list[Any]:
    return [message async for message in stream]


@LOOPS
def test_every_kind_of_call_is_answered_and_leaves_nothing(
    loop: Callable[[], Loop],
) -> None:
    async def program() -> None:
        server = serve(Echo())
        async with connected(server) as client:
            assert await client.call(ECHO["Echo"], HI) == HI
            async with client.open_stream(ECHO["EchoStream"]) as stream:
                await stream.send(HI)
                assert await stream.recv() == HI
                await stream.close_send()
                assert await received(stream) == []
            async with client.open_stream(ECHO["Upload"]) as stream:
                await stream.send(HI)
                assert await stream.response() == UInt64Value(value=1)
            request = UInt64Value(value=3)
            async with client.open_stream(ECHO["Download"], request) as stream:
                assert await received(stream) == [HI, HI, HI]
        assert left_of_serving(server._serving) == {}

    run(loop, program())


@LOOPS
def test_a_call_that_waits_ends_by_its_deadline_its_caller_or_its_server(
    loop: Callable[[], Loop],
) -> None:
    async def program() -> None:
        echo = Echo()
        server = serve(echo)
        wait = BytesValue(value=b"wait")
        async with connected(server) as client:
            with pytest.raises(StatusError) as caught:
                await client.call(ECHO["Echo"], wait, timeout=0.05)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            call = asyncio.ensure_future(client.call(ECHO["Echo"], wait))
            while echo.waiting < 2:
                await asyncio.sleep(0.001)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            call = asyncio.ensure_future(client.call(ECHO["Echo"], wait))
            while echo.waiting < 3:
                await asyncio.sleep(0.001)
            server.close()
            with pytest.raises(Closed):
                await call
        await server.wait_closed()
        assert left_of_serving(server._serving) == {}

    run(loop, program())


@LOOPS
def test_a_handler_may_close_its_server_in_its_first_step(
    loop: Callable[[], Loop],
) -> None:
    async def program() -> None:
        server = serve(Echo())
        async with connected(server) as client:
            with pytest.raises(Closed):
                await client.call(ECHO["Echo"], BytesValue(value=b"close"))
        await server.wait_closed()
        assert left_of_serving(server._serving) == {}

    run(loop, program())


@LOOPS
@pytest.mark.parametrize("size", [2, 100_000])
def test_answers_arrive_from_a_server_that_closes_before_it_has_read_all(
    loop: Callable[[], Loop], size: int
) -> None:
    """uvloop tells of such an end once, whatever is left to receive."""
    ours, theirs = socket.socketpair()
    body = Response(payload=BytesValue(value=bytes(size)).SerializeToString())
    answers = [
        bytes(Frame(stream_id, RESPONSE, 0, body.SerializeToString()))
        for stream_id in (1, 3)
    ]

    async def program() -> None:
        async with Client(ours) as client:
            calls = [
                asyncio.ensure_future(client.call(ECHO["Echo"], HI)) for _ in range(3)
            ]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for answer in answers:
                theirs.sendall(answer)
            theirs.close()
            answered = await asyncio.gather(*calls, return_exceptions=True)
            assert [len(it.value) for it in answered[:2]] == [size, size]
            assert isinstance(answered[2], Closed)
            assert left_of_session(client._session) == {}

    run(loop, program())


@LOOPS
def test_a_client_that_closes_before_it_has_read_its_answers_is_noticed(
    loop: Callable[[], Loop],
) -> None:
    ours, theirs = socket.socketpair()

    async def program() -> None:
        echo = Echo()
        server = serve(echo)
        connection = server.serve_connection(theirs)
        ours.sendall(bytes(request(1, "Echo", HI)))
        while not server.counters.bytes_sent:
            await asyncio.sleep(0)
        ours.sendall(bytes(request(3, "Echo", BytesValue(value=b"wait"))))
        ours.close()
        await connection.wait_closed()
        assert server.counters.calls == 2
        assert left_of_serving(server._serving) == {}

    run(loop, program())


@LOOPS
def test_a_signal_ends_a_server_and_other_threads_cannot_wait_for_one(
    loop: Callable[[], Loop],
) -> None:
    async def program() -> None:
        server = serve(Echo())
        async with connected(server) as client:
            assert await client.call(ECHO["Echo"], HI) == HI
            serving = asyncio.ensure_future(server.serve_until_signal())
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGTERM)
            assert await serving
        with pytest.raises(RuntimeError, match="main thread"):
            await asyncio.to_thread(run, loop, serve(Echo()).serve_until_signal())

    before = [signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGINT)]
    run(loop, program())
    assert before == [signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGINT)]


@LOOPS
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_handler_that_ends_the_program_answers_first(
    loop: Callable[[], Loop], kind: str
) -> None:
    ours, theirs = socket.socketpair()

    def leave(request: BytesValue, context: CallContext) -> BytesValue:
        raise SystemExit

    async def program() -> None:
        echo = Echo()
        if kind == "plain":
            echo.echo = leave  # type: ignore[assignment, method-assign]
        serve(echo).serve_connection(theirs)
        await asyncio.Event().wait()

    with ours, theirs:
        ours.sendall(bytes(request(1, "Echo", BytesValue(value=b"exit"))))
        with pytest.raises(SystemExit):
            run(loop, program())
        assert b"SystemExit" in ours.recv(1000)


async def test_no_call_comes_from_the_loops_task_factory() -> None:
    """A factory for eager tasks would run the handler before its call is known."""
    server = serve(Echo())
    async with connected(server) as client:
        loop = asyncio.get_running_loop()
        asked: list[object] = []

        def record(loop: Loop, coroutine: Any, **_: Any) -> Any:
            asked.append(coroutine)
            return asyncio.Task(coroutine, loop=loop)

        loop.set_task_factory(record)
        try:
            assert await client.call(ECHO["Echo"], HI) == HI
        finally:
            loop.set_task_factory(None)
    assert asked == []


@pytest.mark.parametrize("reconnect", [None, 10])
def test_a_client_of_another_loop_says_so(
    our_server: str, reconnect: float | None
) -> None:
    """Its answers would come to a loop that no longer runs, and be waited for."""

    async def connect() -> Client:
        return await Client.connect(f"unix://{our_server}", reconnect=reconnect)

    async def use(client: Client) -> None:
        for start in (
            lambda: client.call(ECHO["Echo"], HI, timeout=PATIENCE),
            lambda: client.open_stream(ECHO["EchoStream"], timeout=PATIENCE),
        ):
            with pytest.raises(RuntimeError, match="^client: belongs to another event"):
                await start()

    with asyncio.Runner() as first:
        client = first.run(connect())
        asyncio.run(use(client))
        # Its own loop goes on with it.
        assert first.run(client.call(ECHO["Echo"], HI, timeout=PATIENCE)) == HI
        first.run(client.close())
