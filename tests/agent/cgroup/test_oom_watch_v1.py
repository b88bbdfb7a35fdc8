# SPDX-License-Identifier: Apache-2.0
"""OOM kills in a real memory cgroup of version 1."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from kata_agent.cgroup.oom_watch_v1 import OomWatchV1
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces

LIMIT = 32 << 20
EATER = "import sys; sys.stdin.read(1); bytearray(256 << 20)"
CGROUP = CGROUP_ROOT / "memory/c"


class Kills:
    """An `on_kill` that counts its calls."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._changed.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.count < count:
                self._changed.clear()
                await self._changed.wait()


def make_cgroup() -> Path:
    CGROUP.mkdir()
    (CGROUP / "memory.limit_in_bytes").write_text(str(LIMIT))
    return CGROUP


async def provoke_kill() -> None:
    """Run a process in the cgroup that takes more memory than its limit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EATER, stdin=asyncio.subprocess.PIPE
    )
    (CGROUP / "cgroup.procs").write_text(str(process.pid))
    await process.communicate(b"x")
    assert process.returncode == -9


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@in_namespaces("v1")
async def test_every_kill_is_reported_once(world: World) -> None:
    kills = Kills()
    watch = OomWatchV1(make_cgroup(), kills)
    for number in (1, 2, 3):
        await provoke_kill()
        await kills.wait_for(number)
    watch.stop()
    watch.stop()
    assert kills.count == 3


@in_namespaces("v1")
async def test_a_kill_before_the_watch_is_reported(world: World) -> None:
    make_cgroup()
    await provoke_kill()
    kills = Kills()
    watch = OomWatchV1(CGROUP, kills)
    await kills.wait_for(1)
    watch.stop()


@in_namespaces("v1")
async def test_the_end_reports_a_kill_that_was_not_signalled_yet(world: World) -> None:
    kills = Kills()
    watch = OomWatchV1(make_cgroup(), kills)
    await provoke_kill()
    watch.stop()
    assert kills.count == 1


@in_namespaces("v1")
async def test_a_watch_ends_with_its_cgroup_and_keeps_no_descriptor(
    world: World,
) -> None:
    before = descriptors()
    make_cgroup()
    others = asyncio.all_tasks()
    watch = OomWatchV1(CGROUP, Kills())
    assert descriptors() == before + 1
    (task,) = asyncio.all_tasks() - others
    CGROUP.rmdir()
    async with asyncio.timeout(20):
        await asyncio.wait([task])
    watch.stop()
    assert descriptors() == before


@in_namespaces("v1")
async def test_a_watch_that_is_stopped_at_once_keeps_no_descriptor(
    world: World,
) -> None:
    before = descriptors()
    others = asyncio.all_tasks()
    watch = OomWatchV1(make_cgroup(), Kills())
    (task,) = asyncio.all_tasks() - others
    watch.stop()
    await asyncio.wait([task])
    assert descriptors() == before


@in_namespaces("v1")
async def test_a_missing_cgroup_reports_nothing(world: World) -> None:
    OomWatchV1(CGROUP, Kills()).stop()
