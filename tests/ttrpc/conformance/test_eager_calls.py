# SPDX-License-Identifier: Apache-2.0
"""Calls of plain functions through eager interceptors: no task until they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from ttrpc import BoundService, CallContext, Code, Limits, Service, StatusError, eager
from ttrpc.aio import Server
from ttrpc.aio.testing import connected

HI = BytesValue(value=b"hi")
CALLER: ContextVar[str] = ContextVar("CALLER", default="nobody")


class Log:
    """An eager interceptor that records each begin and end, and sets a variable."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ended = asyncio.Event()

    @property
    def interceptor(self) -> Any:
        @eager
        async def logged(request: Any, context: CallContext, proceed: Any) -> Any:
            before = CALLER.get()
            token = CALLER.set("logged")
            self.events.append(f"begin for {before}")
            try:
                return await proceed(request, context)
            except BaseException as error:
                self.events.append(type(error).__name__)
                raise
            finally:
                # Fails unless this runs in the context of the begin.
                CALLER.reset(token)
                self.events.append("end")
                self.ended.set()

        return logged


def server_of(
    handler: Callable[[Any, Any], Any], *interceptors: Any, **options: Any
) -> Server:
    service = Service("peer.v1.Echo", ECHO)
    bound = BoundService(service, {"Echo": handler})
    return Server([bound], interceptors=interceptors, **options)


def plain(request: BytesValue, context: CallContext) -> BytesValue:
    return BytesValue(value=f"{asyncio.current_task()} {CALLER.get()}".encode())


async def test_a_call_that_does_not_wait_has_no_task() -> None:
    log = Log()
    async with connected(server_of(plain, log.interceptor, log.interceptor)) as client:
        for _ in range(2):
            answer = await client.call(ECHO["Echo"], HI)
            assert answer.value == b"None logged"
    one = ["begin for nobody", "begin for logged", "end", "end"]
    assert log.events == [*one, *one]


async def test_any_other_interceptor_gives_it_a_task() -> None:
    async def other(request: Any, context: CallContext, proceed: Any) -> Any:
        async with asyncio.timeout(10):
            return await proceed(request, context)

    log = Log()
    async with connected(server_of(plain, log.interceptor, other)) as client:
        answer = await client.call(ECHO["Echo"], HI)
        assert answer.value.startswith(b"<Task")
    assert log.events == ["begin for nobody", "end"]


async def test_a_call_that_waits_goes_on_in_a_task_with_its_variables() -> None:
    log = Log()
    calls: list[asyncio.Future[None]] = []

    def handler(request: BytesValue, context: CallContext) -> Awaitable[BytesValue]:
        async def later() -> BytesValue:
            calls.append(asyncio.get_running_loop().create_future())
            await calls[-1]
            return BytesValue(value=f"{asyncio.current_task()}".encode())

        return later()

    server = server_of(handler, log.interceptor)
    async with connected(server) as client:
        waiting = [asyncio.create_task(client.call(ECHO["Echo"], HI)) for _ in range(2)]
        while len(calls) < 2:
            await asyncio.sleep(0)
        assert log.events == ["begin for nobody", "begin for nobody"]
        assert server.calls_in_flight == 2
        for call in calls:
            call.set_result(None)
        for answer in await asyncio.gather(*waiting):
            assert answer.value.startswith(b"<Task")
        assert server.calls_in_flight == 0
    assert log.events[2:] == ["end", "end"]


async def wait_for_ever() -> BytesValue:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nothing wakes it")


async def test_its_deadline_ends_the_wait() -> None:
    log = Log()
    server = server_of(lambda request, context: wait_for_ever(), log.interceptor)
    async with connected(server) as client:
        with pytest.raises(StatusError) as caught:
            await client.call(ECHO["Echo"], HI, timeout=0.01)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        await log.ended.wait()
    assert log.events == ["begin for nobody", "CancelledError", "end"]


async def test_the_end_of_the_connection_ends_the_wait() -> None:
    log = Log()
    server = server_of(lambda request, context: wait_for_ever(), log.interceptor)
    async with connected(server) as client:
        waiting = asyncio.create_task(client.call(ECHO["Echo"], HI))
        while not log.events:
            await asyncio.sleep(0)
    await log.ended.wait()
    assert log.events == ["begin for nobody", "CancelledError", "end"]
    await asyncio.wait([waiting])
    assert waiting.exception() is not None


async def test_one_too_many_is_closed_where_it_waits() -> None:
    log = Log()
    server = server_of(
        lambda request, context: wait_for_ever(),
        log.interceptor,
        limits=Limits(calls_per_connection=1),
    )
    async with connected(server) as client:
        first = asyncio.create_task(client.call(ECHO["Echo"], HI))
        while not log.events:
            await asyncio.sleep(0)
        with pytest.raises(StatusError, match="too many calls in flight"):
            await client.call(ECHO["Echo"], HI)
        assert log.events[1:] == ["begin for nobody", "GeneratorExit", "end"]
    await asyncio.wait([first])


async def test_a_clean_up_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @eager
    async def fails(request: Any, context: CallContext, proceed: Any) -> Any:
        try:
            return await proceed(request, context)
        finally:
            raise KeyError("clean-up")

    server = server_of(
        lambda request, context: wait_for_ever(),
        fails,
        limits=Limits(calls_per_connection=0),
    )
    async with connected(server) as client:
        with pytest.raises(StatusError, match="too many calls in flight"):
            await client.call(ECHO["Echo"], HI)
        assert client.closed is None
    assert [record.message for record in caplog.records] == ["handler failed"]


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_is_answered_once(waits: bool) -> None:
    async def fail() -> BytesValue:
        await asyncio.sleep(0)
        raise StatusError(Code.NOT_FOUND, "gone")

    def handler(request: BytesValue, context: CallContext) -> Any:
        if waits:
            return fail()
        raise StatusError(Code.NOT_FOUND, "gone")

    log = Log()
    async with connected(server_of(handler, log.interceptor)) as client:
        for _ in range(2):
            with pytest.raises(StatusError, match="gone"):
                await client.call(ECHO["Echo"], HI)
    assert log.events == ["begin for nobody", "StatusError", "end"] * 2


@pytest.mark.parametrize("waits", [False, True])
async def test_a_response_of_no_response_type_is_an_error(waits: bool) -> None:
    @eager
    async def forgets(request: Any, context: CallContext, proceed: Any) -> Any:
        if waits:
            await asyncio.sleep(0)

    async with connected(server_of(plain, forgets)) as client:
        with pytest.raises(StatusError, match="interceptor returned nothing"):
            await client.call(ECHO["Echo"], HI)
