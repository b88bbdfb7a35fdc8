# SPDX-License-Identifier: Apache-2.0
"""Version 1: a hierarchy for each controller.

Kernel: Documentation/admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup import tree
from kata_agent.cgroup.files import write
from kata_agent.cgroup.freezer_v1 import FreezerV1
from kata_agent.cgroup.kill import send_kill
from kata_agent.cgroup.oom_watch_v1 import OomWatchV1
from kata_agent.cgroup.remove import remove_all, remove_unused
from kata_agent.cgroup.stats_v1 import read_stats
from kata_agent.errors import Timeout, Unavailable
from kata_agent.linux.last_place import put_last
from kata_protos import agent_pb2

FREEZE_BEFORE_KILL: Final = 0.05
"""Seconds for the freeze before a kill, which keeps a fork bomb from outrunning us."""
LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks for processes; version 1 has no event for their end."""
MOST_ROUNDS: Final = 10
"""Looks for processes in one kill; a fork bomb that cannot be frozen needs several."""

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
        self._freezer = FreezerV1(root / "freezer" / path)
        self._killed = False

    def controller(self, name: str) -> Path:
        """Return the directory in the hierarchy of controller `name`."""
        return self._root / name / self._path

    def _directories(self) -> list[Path]:
        """Return the directories that exist, one for each hierarchy."""
        found: dict[tuple[int, int], Path] = {}
        for name in os.listdir(self._root):
            directory = f"{self._root}/{name}/{self._path}"
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                # `cpu` is a link to `cpu,cpuacct` where they share a hierarchy.
                status = os.stat(directory)
                found.setdefault((status.st_dev, status.st_ino), Path(directory))
        return sorted(found.values())

    def pids(self) -> list[int]:
        return tree.pids(self._processes)

    def exists(self) -> bool:
        return bool(self._directories())

    def is_in_use(self) -> bool:
        return any(map(tree.has_processes, self._directories()))

    @property
    def _processes(self) -> Path:
        """The directory in the first hierarchy that has the cgroup.

        The runtime puts each process into every hierarchy, so one of them has all.
        """
        found = [self.controller(name) for name in PROCESS_LIST_CONTROLLERS]
        return next((directory for directory in found if directory.exists()), found[0])

    async def prepare_kill(self) -> None:
        with contextlib.suppress(OSError):
            await blocking(self._prepare_kill)

    def _prepare_kill(self) -> None:
        put_last(tree.threads(self._processes, "tasks"))

    async def kill(self) -> bool:
        try:
            return await blocking(self._kill)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            # A fork bomb has left no place for a thread.
            return self._kill()

    def _kill(self) -> bool:
        killed: set[int] = set()
        for _ in range(MOST_ROUNDS):
            found = self.pids()
            if not found:
                return True
            self._killed = True
            try:
                # Frozen processes cannot fork, exit or freeze others: no pid is missed
                # or used again, and each one thaws below.
                is_frozen = self._freeze_for_kill()
                found = self.pids()
                with contextlib.suppress(OSError):
                    self._prepare_kill()
                send_kill(found)
            finally:
                self._freezer.thaw_all()
            if is_frozen or killed.issuperset(found):
                break
            killed.update(found)
        return False

    def _freeze_for_kill(self) -> bool:
        try:
            self._freezer.freeze(FREEZE_BEFORE_KILL, lambda: True)
        except (Timeout, Unavailable):
            return False
        return True

    async def wait_for_empty(self) -> None:
        pause = 0.001
        while await blocking(lambda: tree.has_processes(self._processes)):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def freeze(self, timeout: float) -> None:
        # A process that has SIGKILL pending would not die before the thaw.
        await blocking(self._freezer.freeze, timeout, lambda: not self._killed)

    async def thaw(self) -> None:
        await blocking(self._freezer.thaw)

    async def thaw_nested(self, ended: Callable[[], Awaitable[object]]) -> None:
        end = asyncio.ensure_future(ended())
        # Again, because the killed process may be writing the state at this moment.
        for pause in (0.005, 0.02, 0.1):
            await blocking(self._freezer.thaw_all)
            done, _ = await asyncio.wait([end], timeout=pause)
            if done:
                return
        end.cancel()

    def stats(self) -> agent_pb2.CgroupStats:
        return read_stats(self.controller)

    def remove_limit(self, limit: str) -> None:
        controller, file, value = UNLIMITED[limit]
        with contextlib.suppress(FileNotFoundError):
            write(self.controller(controller) / file, value)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        return OomWatchV1(self.controller("memory"), on_kill).stop

    def try_remove(self) -> bool:
        return remove_unused(self._directories) is None

    async def remove(self) -> None:
        await remove_all(self._directories)
