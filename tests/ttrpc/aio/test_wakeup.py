# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from ttrpc.aio.wakeup import Wakeup

PATIENCE = 10.0


class Reader:
    """A task that waits again and again, and the record of its wake-ups."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.woken = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.wakeup
            assert asyncio.current_task() is self.task
            self.woken += 1

    async def started(self) -> Reader:
        await asyncio.sleep(0)
        return self

    async def wake(self) -> int:
        """Wake the task from a callback of the loop; return its wake-ups so far."""
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            self.wakeup.wake()
            seen.set_result(self.woken)

        asyncio.get_running_loop().call_soon(wake)
        return await seen

    async def cancel(self, message: str | None = None) -> asyncio.CancelledError:
        self.task.cancel(message)
        with pytest.raises(asyncio.CancelledError) as caught:
            await self.task
        return caught.value


async def test_the_task_goes_on_before_wake_returns() -> None:
    reader = await Reader().started()
    assert [await reader.wake(), await reader.wake()] == [1, 2]
    await reader.cancel()


async def test_without_a_waiting_task_a_wake_up_does_nothing() -> None:
    Wakeup().wake()


async def test_a_task_that_waits_can_be_cancelled() -> None:
    reader = await Reader().started()
    assert (await reader.cancel("enough")).args == ("enough",)
    assert await reader.wake() == 0


async def test_a_task_can_be_cancelled_without_a_message() -> None:
    reader = await Reader().started()
    assert (await reader.cancel()).args == ()


async def test_being_cancelled_does_not_last() -> None:
    wakeup = Wakeup()

    async def stubborn() -> str:
        try:
            await wakeup
        except asyncio.CancelledError:
            await wakeup
        return "woken"

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(wakeup.wake)
    assert await task == "woken"


async def test_waiting_has_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Wakeup()


async def test_two_tasks_cannot_wait() -> None:
    reader = await Reader().started()
    with pytest.raises(RuntimeError, match="two tasks"):
        await reader.wakeup
    assert await reader.wake() == 1
    await reader.cancel()


async def test_the_task_keeps_its_context() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    wakeup = Wakeup()

    async def run() -> str:
        variable.set("mine")
        await wakeup
        return variable.get()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    variable.set("another's")
    asyncio.get_running_loop().call_soon(wakeup.wake)
    async with asyncio.timeout(PATIENCE):
        assert await task == "mine"


async def test_it_belongs_to_the_loop_it_was_made_in() -> None:
    wakeup = Wakeup()

    async def wait() -> None:
        await wakeup

    with pytest.raises(RuntimeError, match="attached to a different loop"):
        await asyncio.to_thread(asyncio.run, wait())
