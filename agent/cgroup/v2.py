# SPDX-License-Identifier: Apache-2.0
"""The unified hierarchy (kernel: Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from agent.cgroup.files import (
    descendants,
    pids_below,
    read_flat_keyed,
    read_text,
    remove_directory,
    write,
)
from agent.cgroup.kill import send_kill
from agent.cgroup.stats_v2 import read_stats
from agent.errors import Timeout
from agent.linux.inotify import IN_IGNORED, IN_MODIFY, Inotify
from protos import agent_pb2


class CgroupV2:
    """One directory with everything in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def pids(self) -> list[int]:
        return pids_below(self._directory)

    async def kill(self) -> None:
        try:
            write(self._directory / "cgroup.kill", "1")
        except FileNotFoundError:
            # Kernels before 5.14 have no such file; a cgroup that is gone
            # has no processes either.
            send_kill(self.pids())

    async def wait_for_empty(self) -> None:
        await self._wait_for_event("populated", 0)

    async def freeze(self, timeout: float) -> None:
        write(self._directory / "cgroup.freeze", "1")
        try:
            async with asyncio.timeout(timeout):
                await self._wait_for_event("frozen", 1)
        except TimeoutError:
            raise Timeout(
                f"cgroup {self._directory.name!r}: not frozen within {timeout} s"
            ) from None

    async def thaw(self) -> None:
        write(self._directory / "cgroup.freeze", "0")

    def stats(self) -> agent_pb2.CgroupStats:
        return read_stats(self._directory)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Watch `memory.events`, whose `oom_kill` counts the whole subtree."""
        return _OomWatch(self._directory / "memory.events", on_kill).stop

    async def remove(self) -> None:
        for directory in descendants(self._directory):
            await remove_directory(directory)

    async def _wait_for_event(self, key: str, value: int) -> None:
        """Wait until `cgroup.events` says so; a cgroup that is gone says anything."""
        events = self._directory / "cgroup.events"
        inotify = Inotify()
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        loop.add_reader(inotify.fileno(), changed.set)
        try:
            inotify.add_watch(events, IN_MODIFY)
            while read_flat_keyed(events).get(key, value) != value:
                await changed.wait()
                changed.clear()
                for _ in inotify.read():
                    pass
        except FileNotFoundError:
            return
        finally:
            loop.remove_reader(inotify.fileno())
            inotify.close()


class _OomWatch:
    """Turns changes of `memory.events` into one call for each kill."""

    def __init__(self, file: Path, on_kill: Callable[[], None]) -> None:
        self._file = file
        self._on_kill = on_kill
        self._seen = 0
        self._loop = asyncio.get_running_loop()
        self._inotify: Inotify | None = None
        if read_text(file) is None:
            return
        self._inotify = Inotify()
        self._inotify.add_watch(file, IN_MODIFY)
        self._loop.add_reader(self._inotify.fileno(), self._look)
        self._report()

    def _look(self) -> None:
        assert self._inotify is not None
        masks = [mask for _, mask in self._inotify.read()]
        self._report()
        if any(mask & IN_IGNORED for mask in masks):
            self.stop()

    def _report(self) -> None:
        kills = read_flat_keyed(self._file).get("oom_kill", self._seen)
        while self._seen < kills:
            self._seen += 1
            self._on_kill()

    def stop(self) -> None:
        if self._inotify is None:
            return
        # The last kills may be younger than the last notification: the kernel
        # spaces those by 10 ms.
        self._report()
        self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()
        self._inotify = None
