# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from ttrpc.begun import Begun, begin

VARIABLE = ContextVar("VARIABLE", default="outside")


async def waits_for(future: asyncio.Future[str], seen: list[str]) -> str:
    seen.append("begun")
    try:
        return await future
    except ValueError as error:
        return f"caught {error}"
    finally:
        await asyncio.sleep(0)
        seen.append("ended")


def task_of(begun: Begun) -> asyncio.Task[Any]:
    return asyncio.Task(begun)


def task_that_awaits(begun: Begun) -> asyncio.Task[Any]:
    async def work() -> Any:
        return await begun

    return asyncio.create_task(work())


def task_that_delegates(begun: Begun) -> asyncio.Task[Any]:
    class Delegating:
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield from begun.__await__())

    async def work() -> Any:
        return await Delegating()

    return asyncio.create_task(work())


WAYS = pytest.mark.parametrize("run", [task_of, task_that_awaits, task_that_delegates])


async def begun_coroutine() -> tuple[Begun, asyncio.Future[str], list[str]]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    begun = begin(waits_for(future, seen))
    assert isinstance(begun, Begun)
    assert seen == ["begun"]
    return begun, future, seen


def test_a_coroutine_that_does_not_wait_has_its_result_at_once() -> None:
    async def answer() -> str:
        return "result"

    assert begin(answer()) == "result"


def test_an_error_before_the_first_wait_is_raised() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        begin(fail())


@WAYS
async def test_the_rest_runs_in_a_task(run: Any) -> None:
    begun, future, seen = await begun_coroutine()
    task = run(begun)
    await asyncio.sleep(0)
    future.set_result("result")
    assert await task == "result"
    assert seen == ["begun", "ended"]


@WAYS
async def test_what_it_waits_for_may_have_happened_before(run: Any) -> None:
    begun, future, _ = await begun_coroutine()
    future.set_result("result")
    assert await run(begun) == "result"


@WAYS
async def test_an_error_reaches_the_place_where_it_waits(run: Any) -> None:
    begun, future, seen = await begun_coroutine()
    future.set_exception(ValueError("x"))
    assert await run(begun) == "caught x"
    assert seen == ["begun", "ended"]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_cancellation_reaches_it_also_before_its_task_has_run(
    turns: int,
) -> None:
    begun, _, seen = await begun_coroutine()
    task = task_of(begun)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["begun", "ended"]


async def test_a_bare_yield_is_a_wait() -> None:
    async def turns() -> str:
        await asyncio.sleep(0)
        return "result"

    begun = begin(turns())
    assert isinstance(begun, Begun)
    assert await begun == "result"


def test_it_can_be_closed_where_it_waits() -> None:
    seen = []

    async def wait() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("ended")

    begin(wait()).close()
    assert seen == ["ended"]


async def test_the_task_shows_where_it_is() -> None:
    begun, future, _ = await begun_coroutine()
    task = task_of(begun)
    (frame,) = task.get_stack()
    assert frame.f_code is waits_for.__code__
    future.set_result("")
    await task


async def test_context_variables_go_on() -> None:
    async def work() -> str:
        token = VARIABLE.set("inside")
        await asyncio.sleep(0)
        value = VARIABLE.get()
        VARIABLE.reset(token)
        return value

    context = copy_context()
    coroutine: Coroutine[Any, Any, str] = work()
    begun = context.run(begin, coroutine)
    assert await asyncio.Task(begun, context=context) == "inside"
    assert VARIABLE.get() == "outside"
