# SPDX-License-Identifier: Apache-2.0
"""Version 1: a hierarchy for each controller.

Kernel: Documentation/admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.cgroup.files import (
    descendants,
    pids_below,
    read_text,
    remove_directory,
    write,
)
from kata_agent.cgroup.kill import send_kill
from kata_agent.cgroup.oom_watch_v1 import OomWatchV1
from kata_agent.cgroup.stats_v1 import read_stats
from kata_agent.errors import Timeout, Unavailable
from kata_protos import agent_pb2

FREEZE_BEFORE_KILL: Final = 0.05
"""Seconds for the freeze before a kill, which keeps a fork bomb from outrunning us."""
LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks at a state for which version 1 has no event."""
ATTEMPTS_UNTIL_THAW: Final = 20

PROCESS_LIST_CONTROLLERS: Final = ("freezer", "pids", "memory", "devices", "cpu")
"""The first of these that has the cgroup gives the process list."""

UNLIMITED: Final = {
    "memory.swap": ("memory", "memory.memsw.limit_in_bytes", "-1"),
    "memory.limit": ("memory", "memory.limit_in_bytes", "-1"),
    "memory.reservation": ("memory", "memory.soft_limit_in_bytes", "-1"),
    "cpu.quota": ("cpu", "cpu.cfs_quota_us", "-1"),
    "pids.limit": ("pids", "pids.max", "max"),
}
"""A limit of the OCI spec -> its controller, its file, and the value for no limit."""


class CgroupV1:
    """The directories of one path in all hierarchies."""

    def __init__(self, root: Path, path: PurePosixPath) -> None:
        """`root` is `/sys/fs/cgroup`, `path` is relative to each hierarchy."""
        self._root = root
        self._path = path

    def controller(self, name: str) -> Path:
        """Return the directory in the hierarchy of controller `name`."""
        return self._root / name / self._path

    def _directories(self) -> list[Path]:
        """Return the directories that exist, one for each hierarchy."""
        found: dict[tuple[int, int], Path] = {}
        with os.scandir(self._root) as entries:
            for entry in entries:
                directory = Path(entry.path) / self._path
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    # `cpu` is a link to `cpu,cpuacct` where they share a hierarchy.
                    status = os.stat(directory)
                    found.setdefault((status.st_dev, status.st_ino), directory)
        return sorted(found.values())

    def pids(self) -> list[int]:
        # The runtime puts each process into every hierarchy, so one of them has all.
        for name in PROCESS_LIST_CONTROLLERS:
            if (directory := self.controller(name)).exists():
                return pids_below(directory)
        return []

    async def kill(self) -> None:
        if not self.pids():
            return
        # Frozen processes cannot fork or exit, so no pid is missed or used again.
        with contextlib.suppress(Timeout, Unavailable):
            await self.freeze(FREEZE_BEFORE_KILL)
        try:
            send_kill(self.pids())
        finally:
            # In version 1 a frozen process dies only after the thaw.
            with contextlib.suppress(Unavailable):
                await self.thaw()

    async def wait_for_empty(self) -> None:
        pause = 0.001
        while self.pids():
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            # A process may have been forked between the last look and the kill.
            send_kill(self.pids())

    async def freeze(self, timeout: float) -> None:
        state = self._freezer_state()
        write(state, "FROZEN")
        try:
            async with asyncio.timeout(timeout):
                pause = 0.0005
                for attempt in itertools.count(1):
                    if (read_text(state) or "FROZEN").strip() == "FROZEN":
                        return
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    if attempt % ATTEMPTS_UNTIL_THAW == 0:
                        # A freeze can get stuck half-way (kernel before ef9fe980c6fc,
                        # cgroups/freezer-subsystem.txt: "retry or thaw").
                        write(state, "THAWED")
                    # A second write freezes processes that were forked meanwhile.
                    write(state, "FROZEN")
        except TimeoutError:
            raise Timeout(
                f"cgroup {self._path.name!r}: not frozen within {timeout} s"
            ) from None

    async def thaw(self) -> None:
        write(self._freezer_state(), "THAWED")

    def _freezer_state(self) -> Path:
        state = self.controller("freezer") / "freezer.state"
        if not state.exists():
            raise Unavailable(f"cgroup {self._path.name!r}: no freezer")
        return state

    def stats(self) -> agent_pb2.CgroupStats:
        return read_stats(self.controller)

    def remove_limit(self, limit: str) -> None:
        controller, file, value = UNLIMITED[limit]
        with contextlib.suppress(FileNotFoundError):
            write(self.controller(controller) / file, value)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        return OomWatchV1(self.controller("memory"), on_kill).stop

    async def remove(self) -> None:
        for hierarchy in self._directories():
            for directory in descendants(hierarchy):
                await remove_directory(directory)
