# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.oom_watch_v2 import OomWatchV2


async def test_kills_are_counted_not_notifications(tmp_path: Path) -> None:
    watches = FileWatches()
    file = tmp_path / "memory.events"
    file.write_text("oom 0\noom_kill 0\n")
    kills: list[None] = []
    more = asyncio.Event()

    def on_kill() -> None:
        kills.append(None)
        more.set()

    watch = OomWatchV2(tmp_path, watches, on_kill)
    file.write_text("oom 5\noom_kill 2\n")
    async with asyncio.timeout(5):
        while len(kills) < 2:
            more.clear()
            await more.wait()
    file.write_text("oom 9\noom_kill 2\n")
    file.write_text("oom 9\noom_kill 3\n")
    # The last kills are reported at the end, whether inotify has reported them or not.
    watch.stop()
    watch.stop()
    assert len(kills) == 3
    watches.close()


async def test_kills_before_the_watch_are_reported(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom_kill 2\n")
    watches = FileWatches()
    kills: list[int] = []
    watch = OomWatchV2(tmp_path, watches, lambda: kills.append(1))
    assert kills == [1, 1]
    watch.stop()
    watches.close()


async def test_a_cgroup_without_the_controller_reports_nothing(tmp_path: Path) -> None:
    OomWatchV2(tmp_path, FileWatches(), lambda: None).stop()
