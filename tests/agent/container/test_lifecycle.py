# SPDX-License-Identifier: Apache-2.0
"""Steps of the work on a container that is not there."""

from __future__ import annotations

import asyncio

import pytest

from kata_agent.container.container_state import ContainerEvent, ContainerState
from kata_agent.container.lifecycle import Lifecycle
from kata_agent.errors import Internal, InvalidArgument, InvalidState


def running(*, ending: bool = False) -> Lifecycle:
    lifecycle = Lifecycle("c1", lambda: ending)
    lifecycle.advance(ContainerEvent.CREATE)
    lifecycle.advance(ContainerEvent.START)
    return lifecycle


async def test_a_step_needs_a_state_that_allows_it() -> None:
    lifecycle = running()
    with pytest.raises(InvalidState, match="'c1': cannot resume, it is running"):
        async with lifecycle.step(ContainerEvent.RESUME):
            pytest.fail("a step has begun")
    lifecycle.advance(ContainerEvent.RESUME)
    assert lifecycle.state is ContainerState.RUNNING
    lifecycle.advance(ContainerEvent.REMOVE)
    with pytest.raises(InvalidArgument, match="'c1': not found"):
        lifecycle.check(ContainerEvent.EXEC)


async def test_the_end_of_the_container_is_no_fault_of_the_guest() -> None:
    with pytest.raises(InvalidState, match=r"cannot exec, it is ending \(no fork\)"):
        async with running(ending=True).step(ContainerEvent.EXEC):
            raise Internal("no fork")
    with pytest.raises(Internal, match="no fork"):
        async with running().step(ContainerEvent.EXEC):
            raise Internal("no fork")
    with pytest.raises(InvalidArgument, match="no user"):
        async with running(ending=True).step(ContainerEvent.EXEC):
            raise InvalidArgument("no user")


async def test_a_pause_halfway_through_an_exec_is_no_fault_of_the_guest() -> None:
    lifecycle = running()
    async with lifecycle.change(ContainerEvent.PAUSE):
        with pytest.raises(InvalidState, match="cannot exec, it is being paused"):
            async with lifecycle.step(ContainerEvent.EXEC):
                raise Internal("it is paused")
    with pytest.raises(Internal, match="cannot be frozen"):
        async with lifecycle.change(ContainerEvent.PAUSE):
            raise Internal("cannot be frozen")


async def test_changes_are_in_order_and_the_removal_interrupts_them() -> None:
    lifecycle = running()
    order = []

    async def change(number: int) -> None:
        async with lifecycle.change(ContainerEvent.UPDATE):
            order.append(number)
            await asyncio.Event().wait()

    changes = [asyncio.create_task(change(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert order == [0]
    lifecycle.interrupt()
    await lifecycle.wait_for_steps()
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert order == [0]
    assert [type(result) for result in results] == [InvalidState] * 3


async def test_it_is_idle_when_a_removal_would_wait_for_nothing() -> None:
    lifecycle = running()
    assert lifecycle.is_idle
    async with lifecycle.step(ContainerEvent.EXEC):
        assert not lifecycle.is_idle
    assert lifecycle.is_idle
    async with lifecycle.lock:
        assert not lifecycle.is_idle
    assert lifecycle.is_idle
