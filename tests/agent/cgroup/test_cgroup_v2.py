# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath

import pytest

from kata_agent.cgroup.cgroup_v2 import CgroupV2
from kata_agent.cgroup.open import open_cgroup
from kata_agent.cgroup.watches import Watches
from kata_agent.errors import Timeout
from kata_agent.reaper import Reaper
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces

BOMB = "while :; do (while :; do :; done) & sleep 0.001; done"


@in_namespaces("v1", "v2")
async def test_freeze_kill_wait_and_remove(world: World) -> None:
    """The same for both versions: that is what the seam is for."""
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/a/b"), Watches())
    roots = [CGROUP_ROOT] if world.version == "v2" else list(CGROUP_ROOT.iterdir())
    for root in roots:
        (root / "a/b/c").mkdir(parents=True)
        if root.name == "cpuset":
            for cpuset in (root / "a", root / "a/b", root / "a/b/c"):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (cpuset / file).write_text((root / file).read_text())
    assert cgroup.pids() == []
    await cgroup.kill()
    await cgroup.wait_for_empty()
    with Reaper() as reaper:
        child = reaper.spawn(["sh", "-c", 'read x; exec sh -c "$0"', BOMB])
        for root in roots:
            (root / "a/b/c/cgroup.procs").write_text(str(child.pid))
        assert child.pid in cgroup.pids()
        await cgroup.freeze(5)
        await cgroup.thaw()
        await cgroup.freeze(5)
        await cgroup.kill()
        assert await asyncio.wait_for(child.wait(), 5) == 137
        await asyncio.wait_for(cgroup.wait_for_empty(), 5)
        await cgroup.remove()
        await cgroup.remove()
        assert not any((root / "a/b").exists() for root in roots)
        assert all((root / "a").exists() for root in roots)


@in_namespaces("v1", "v2")
async def test_a_fork_bomb_dies(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/bomb"), Watches())
    roots = [CGROUP_ROOT] if world.version == "v2" else list(CGROUP_ROOT.iterdir())
    for root in roots:
        (root / "bomb").mkdir()
        if root.name == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (root / "bomb" / file).write_text((root / file).read_text())
    with Reaper() as reaper:
        reader, writer = os.pipe()
        child = reaper.spawn(["sh", "-c", f"read x; {BOMB}"], stdin=reader)
        os.close(reader)
        for root in roots:
            (root / "bomb/cgroup.procs").write_text(str(child.pid))
        os.write(writer, b"go\n")
        async with asyncio.timeout(10):
            while len(cgroup.pids()) < 20:
                await asyncio.sleep(0.001)
            await cgroup.kill()
            await cgroup.wait_for_empty()
        assert cgroup.pids() == []
        assert await child.wait() == 137
        await cgroup.remove()
        os.close(writer)


async def test_an_event_that_does_not_come(tmp_path: Path) -> None:
    watches = Watches()
    (tmp_path / "cgroup.freeze").write_text("")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    cgroup = CgroupV2(tmp_path, watches)
    with pytest.raises(Timeout, match="not frozen within"):
        await cgroup.freeze(0.05)
    waiting = asyncio.create_task(cgroup.freeze(5))
    await asyncio.sleep(0)
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    await waiting
    watches.close()


async def test_oom_kills_are_counted_not_notifications(tmp_path: Path) -> None:
    watches = Watches()
    file = tmp_path / "memory.events"
    file.write_text("oom 0\noom_kill 0\n")
    kills: list[None] = []
    more = asyncio.Event()

    def on_kill() -> None:
        kills.append(None)
        more.set()

    stop = CgroupV2(tmp_path, watches).watch_oom(on_kill)
    file.write_text("oom 5\noom_kill 2\n")
    async with asyncio.timeout(5):
        while len(kills) < 2:
            more.clear()
            await more.wait()
    file.write_text("oom 9\noom_kill 2\n")
    file.write_text("oom 9\noom_kill 3\n")
    # The last ones are reported at the end, notified or not.
    stop()
    stop()
    assert len(kills) == 3
    CgroupV2(tmp_path / "none", watches).watch_oom(on_kill)()
    watches.close()
