# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.uncancelled import uncancelled


async def test_the_result_and_the_error_are_those_of_the_work() -> None:
    async def fail() -> None:
        raise KeyError("x")

    assert await uncancelled(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await uncancelled(fail())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_caller_that_is_cancelled_waits_for_the_end(fails: bool) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        begun.set()
        await may_end.wait()
        ended = True
        if fails:
            raise KeyError("x")

    caller = asyncio.create_task(uncancelled(work()))
    await begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended
