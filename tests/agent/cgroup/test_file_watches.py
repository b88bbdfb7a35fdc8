# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kata_agent.cgroup.file_watches import FileWatches


async def test_two_callers_may_watch_one_file(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    file = tmp_path / "events"
    file.write_text("a")
    watches = FileWatches()
    first, second = asyncio.Event(), asyncio.Event()
    stop_first = watches.add(file, first.set)
    stop_second = watches.add(file, second.set)
    file.write_text("b")
    await asyncio.wait_for(first.wait(), 5)
    assert second.is_set()
    stop_first()
    stop_first()
    first.clear()
    second.clear()
    file.write_text("c")
    await asyncio.wait_for(second.wait(), 5)
    assert not first.is_set()
    second.clear()
    # The removal of the file is a change too.
    file.unlink()
    await asyncio.wait_for(second.wait(), 5)
    stop_second()
    with pytest.raises(FileNotFoundError):
        watches.add(file, first.set)
    watches.close()
    watches.close()
    assert len(os.listdir("/proc/self/fd")) == before
