# SPDX-License-Identifier: Apache-2.0
"""Many short-lived containers, one after the other, through one agent."""

from __future__ import annotations

import asyncio

import pytest

from bench.stage import agent_pid, quiet_footprint
from kata_host.client import AgentClient
from kata_host.guest.local_guest import LocalGuest
from tests.helpers.heaps import count_further_heaps

RUNS = 200
AT_ONCE = 4


@pytest.mark.slow
async def test_two_hundred_runs_leave_the_agent_as_it_was(
    guest: LocalGuest, client: AgentClient
) -> None:
    rootfs = str(guest.directory / "rootfs")
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(number: int) -> None:
        async with slots:
            result = await client.run(["echo", str(number)], rootfs=rootfs)
        assert (result.status, result.stdout, result.stderr) == (
            0,
            b"%d\n" % number,
            b"",
        )

    await run(0)  # The first run makes the parts that the agent keeps.
    before = await quiet_footprint(guest)
    async with asyncio.TaskGroup() as group:
        for number in range(1, RUNS):
            group.create_task(run(number))
    assert await quiet_footprint(guest) == before
    # Each heap would keep free memory for itself.
    assert count_further_heaps(agent_pid(guest)) == 0
