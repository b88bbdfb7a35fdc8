# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_agent.network.undo import undone_on_failure
from kata_agent.reserve import Reserve


class Undo:
    """An undo that waits until the test lets it finish."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.is_finished = False

    async def __call__(self) -> None:
        self.began.set()
        await self.may_finish.wait()
        self.is_finished = True


async def test_a_block_that_succeeds_is_not_undone() -> None:
    undo = Undo()
    async with undone_on_failure(undo, Reserve()):
        pass
    assert not undo.began.is_set()


async def test_the_error_is_raised_once_it_is_undone() -> None:
    undo = Undo()
    undo.may_finish.set()
    with pytest.raises(KeyError):
        async with undone_on_failure(undo, Reserve()):
            raise KeyError
    assert undo.is_finished


async def test_cancelling_does_not_interrupt_the_undoing() -> None:
    undo = Undo()

    async def change() -> None:
        async with undone_on_failure(undo, Reserve()):
            await asyncio.Event().wait()

    task = asyncio.create_task(change())
    await asyncio.sleep(0)  # Until the block waits.
    task.cancel()
    await undo.began.wait()
    task.cancel()
    await asyncio.sleep(0)  # Until the second cancellation has arrived.
    assert not task.done()
    undo.may_finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undo.is_finished
