# SPDX-License-Identifier: Apache-2.0
"""Slots that are held, given up and waited for."""

from __future__ import annotations

import asyncio

import pytest

from kata_agent.runtime import concurrency_limit
from kata_agent.runtime.concurrency_limit import ConcurrencyLimit


async def test_no_more_tasks_run_than_there_are_slots() -> None:
    limited, inside, most = ConcurrencyLimit(2), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with limited.slot():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(10)))
    assert most == 2


async def test_a_task_that_hangs_gives_up_its_slot_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency_limit, "PATIENCE", 0.01)
    limited, never = ConcurrencyLimit(1), asyncio.Event()

    async def hang() -> None:
        async with limited.slot():
            await never.wait()

    hanging = [asyncio.create_task(hang()) for _ in range(3)]
    async with limited.slot():
        pass
    monkeypatch.setattr(concurrency_limit, "PATIENCE", 60)
    never.set()
    await asyncio.gather(*hanging)
    # There is still one slot, not one for each task that hung.
    async with limited.slot():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), limited.slot():
                pass


async def test_a_failure_gives_the_slot_back() -> None:
    limited = ConcurrencyLimit(1)
    with pytest.raises(KeyError):
        async with limited.slot():
            raise KeyError
    async with limited.slot():
        pass
