# SPDX-License-Identifier: Apache-2.0
"""Version 2, with files in place of cgroupfs; `test_cgroup` has the kernel's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.cgroup.cgroup_v2 import UNLIMITED, CgroupV2
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.errors import Timeout


async def test_a_freeze_waits_for_its_event_until_the_timeout(tmp_path: Path) -> None:
    watches = FileWatches()
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


async def test_before_cgroup_kill_processes_are_killed_by_pid(tmp_path: Path) -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    (tmp_path / "cgroup.procs").write_text(f"{sleeper.pid}\n")
    await CgroupV2(tmp_path, FileWatches()).kill()
    assert await sleeper.wait() == -9


@pytest.mark.parametrize("limit", UNLIMITED)
async def test_a_limit_is_removed_where_the_file_is(tmp_path: Path, limit: str) -> None:
    file, value = UNLIMITED[limit]
    (tmp_path / file).write_text("17   ")
    CgroupV2(tmp_path, FileWatches()).remove_limit(limit)
    assert (tmp_path / file).read_text().startswith(value)
