# SPDX-License-Identifier: Apache-2.0
"""Steps that are interrupted."""

from __future__ import annotations

import asyncio

import pytest

from kata_agent.errors import InvalidState
from kata_agent.interruption import Interruption


async def test_a_step_ends_when_it_is_interrupted() -> None:
    interruption = Interruption("container 'c1'")
    undone = asyncio.Event()

    async def hang() -> None:
        async with interruption.step("create"):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                undone.set()

    steps = [asyncio.create_task(hang()) for _ in range(2)]
    await asyncio.sleep(0)
    interruption.begin()
    await interruption.wait_for_steps()
    assert undone.is_set()
    for step in steps:
        with pytest.raises(
            InvalidState, match="container 'c1': create ended, because it is being"
        ):
            await step
    # A second time does nothing.
    interruption.begin()
    with pytest.raises(InvalidState, match="cannot exec, it is being removed"):
        async with interruption.step("exec"):
            pytest.fail("a step has begun")


async def test_the_error_says_why_the_step_was_interrupted() -> None:
    interruption = Interruption("container 'c1': process 'e1'", "it was killed")

    async def hang() -> None:
        async with interruption.step("start"):
            interruption.begin()
            await asyncio.Event().wait()

    with pytest.raises(InvalidState, match="'e1': start ended, because it was killed"):
        await hang()


async def test_other_errors_and_cancellations_stay_what_they_are() -> None:
    interruption = Interruption("container 'c1'")
    await interruption.wait_for_steps()
    with pytest.raises(TimeoutError):
        async with interruption.step("create"), asyncio.timeout(0):
            await asyncio.Event().wait()

    async def hang() -> None:
        async with interruption.step("create"):
            await asyncio.Event().wait()

    step = asyncio.create_task(hang())
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await interruption.wait_for_steps()


async def test_it_has_steps_while_one_is_under_way() -> None:
    interruption = Interruption("container 'c1'")
    assert not interruption.has_steps
    async with interruption.step("create"):
        assert interruption.has_steps
    assert not interruption.has_steps
