# SPDX-License-Identifier: Apache-2.0
"""OOM events without any cgroup."""

from __future__ import annotations

import asyncio

import pytest

from kata_agent.container.oom_events import PENDING_LIMIT, OomEvents
from kata_agent.errors import Ended


async def test_each_event_goes_to_one_caller_in_order() -> None:
    events = OomEvents()
    waiting = [asyncio.create_task(events.next()) for _ in range(2)]
    await asyncio.sleep(0)
    for container_id in ("a", "b", "c"):
        events.report(container_id)
    assert await asyncio.gather(*waiting) == ["a", "b"]
    assert await events.next() == "c"


async def test_a_caller_that_left_takes_no_event_with_it() -> None:
    events = OomEvents()
    leaving = asyncio.create_task(events.next())
    staying = asyncio.create_task(events.next())
    await asyncio.sleep(0)
    # Woken and cancelled in the same turn of the loop.
    events.report("a")
    leaving.cancel()
    assert await staying == "a"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_events_that_no_caller_asks_for_are_bounded() -> None:
    events = OomEvents()
    for number in range(PENDING_LIMIT + 5):
        events.report(str(number))
    assert await events.next() == "5"


async def test_closing_wakes_every_caller_until_the_next_sandbox() -> None:
    events = OomEvents()
    waiting = [asyncio.create_task(events.next()) for _ in range(3)]
    await asyncio.sleep(0)
    events.close()
    for each in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(each, Ended)
    with pytest.raises(Ended, match="sandbox: destroyed"):
        await events.next()
    events.open()
    events.report("a")
    assert await events.next() == "a"
