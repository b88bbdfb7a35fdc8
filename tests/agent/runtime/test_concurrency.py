# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_agent.runtime import concurrency
from kata_agent.runtime.concurrency import Slots


async def test_no_more_than_there_are_places() -> None:
    limited, inside, most = Slots(2), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with limited.place():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(10)))
    assert most == 2


async def test_one_that_hangs_loses_its_place_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "PATIENCE", 0.01)
    limited, never = Slots(1), asyncio.Event()

    async def hang() -> None:
        async with limited.place():
            await never.wait()

    hanging = [asyncio.create_task(hang()) for _ in range(3)]
    async with limited.place():
        pass
    monkeypatch.setattr(concurrency, "PATIENCE", 60)
    never.set()
    await asyncio.gather(*hanging)
    # There is still one place, not one for each that hung.
    async with limited.place():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), limited.place():
                pass


async def test_a_failure_leaves_the_place() -> None:
    limited = Slots(1)
    with pytest.raises(KeyError):
        async with limited.place():
            raise KeyError
    async with limited.place():
        pass
