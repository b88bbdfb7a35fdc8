# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from kata_agent.cgroup.kill import send_kill


async def test_every_process_is_killed() -> None:
    sleepers = [await asyncio.create_subprocess_exec("sleep", "1000") for _ in range(3)]
    send_kill(sleeper.pid for sleeper in sleepers)
    assert [await sleeper.wait() for sleeper in sleepers] == [-9] * 3


async def test_a_process_that_has_ended_does_not_stop_the_others() -> None:
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    send_kill([ended.pid, sleeper.pid])
    assert await sleeper.wait() == -9
