# SPDX-License-Identifier: Apache-2.0
"""One hierarchy per controller (kernel: Documentation/admin-guide/cgroup-v1/)."""

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
    read_flat_keyed,
    read_text,
    remove_directory,
    write,
)
from kata_agent.cgroup.kill import send_kill
from kata_agent.cgroup.stats_v1 import read_stats
from kata_agent.errors import Timeout, Unavailable
from kata_protos import agent_pb2

FREEZE_BEFORE_KILL: Final = 0.05
"""Seconds given to a freeze that only keeps a fork bomb from outrunning us."""
_TELLING: Final = ("freezer", "pids", "memory", "devices", "cpu")
_LONGEST_PAUSE: Final = 0.02
_ATTEMPTS_UNTIL_THAW: Final = 20
_LONGEST_OOM_PAUSE: Final = 0.5
"""Seconds after a notification within which its kill must have been counted."""


_UNLIMITED: Final = {
    "memory.swap": ("memory", "memory.memsw.limit_in_bytes", "-1"),
    "memory.limit": ("memory", "memory.limit_in_bytes", "-1"),
    "memory.reservation": ("memory", "memory.soft_limit_in_bytes", "-1"),
    "cpu.quota": ("cpu", "cpu.cfs_quota_us", "-1"),
    "pids.limit": ("pids", "pids.max", "max"),
}


class CgroupV1:
    """The directories of one path in all hierarchies."""

    def __init__(self, root: Path, path: PurePosixPath) -> None:
        self._root = root
        self._path = path

    def controller(self, name: str) -> Path:
        """Return the directory in the hierarchy of controller `name`."""
        return self._root / name / self._path

    def _directories(self) -> list[Path]:
        """Return the directories that exist, each hierarchy once."""
        found: dict[tuple[int, int], Path] = {}
        with os.scandir(self._root) as entries:
            for entry in entries:
                directory = Path(entry.path) / self._path
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    # `cpu` is a link to `cpu,cpuacct` where they share one.
                    status = os.stat(directory)
                    found.setdefault((status.st_dev, status.st_ino), directory)
        return sorted(found.values())

    def pids(self) -> list[int]:
        # The runtime puts every process into every hierarchy: one tells them all.
        for name in _TELLING:
            if (directory := self.controller(name)).exists():
                return pids_below(directory)
        return []

    async def kill(self) -> None:
        if not self.pids():
            return
        # Frozen processes cannot fork or exit, so no pid is missed or reused.
        with contextlib.suppress(Timeout, Unavailable):
            await self.freeze(FREEZE_BEFORE_KILL)
        try:
            send_kill(self.pids())
        finally:
            # In version 1 a frozen process dies only after the thaw.
            with contextlib.suppress(Unavailable):
                await self.thaw()

    async def wait_for_empty(self) -> None:
        # Version 1 has no event for it.
        pause = 0.001
        while self.pids():
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            # What was forked between the last look and the kill.
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
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    if attempt % _ATTEMPTS_UNTIL_THAW == 0:
                        # It can get stuck half-way (kernel before ef9fe980c6fc,
                        # cgroups/freezer-subsystem.txt: "retry or thaw").
                        write(state, "THAWED")
                    # Writing again freezes what was forked meanwhile.
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

    def lift(self, limit: str) -> None:
        controller, file, word = _UNLIMITED[limit]
        # A file that is not there limits nothing.
        with contextlib.suppress(FileNotFoundError):
            write(self.controller(controller) / file, word)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Have the kernel signal an eventfd for `memory.oom_control`."""
        return _OomWatch(self.controller("memory"), on_kill).stop

    async def remove(self) -> None:
        for hierarchy in self._directories():
            for directory in descendants(hierarchy):
                await remove_directory(directory)


class _OomWatch:
    """Turns wake-ups of the eventfd into one call for each kill."""

    def __init__(self, directory: Path, on_kill: Callable[[], None]) -> None:
        self._control = directory / "memory.oom_control"
        self._on_kill = on_kill
        self._seen = 0
        self._loop = asyncio.get_running_loop()
        self._event = -1
        self._again: asyncio.TimerHandle | None = None
        try:
            control = os.open(self._control, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            write(directory / "cgroup.event_control", f"{self._event} {control}")
        except BaseException:
            if self._event >= 0:
                os.close(self._event)
            raise
        finally:
            os.close(control)
        self._loop.add_reader(self._event, self._look)
        self._report()

    def _look(self) -> None:
        os.eventfd_read(self._event)
        # It also fires when the cgroup is removed, and more than once per kill.
        if not self._report():
            self.stop()
            return
        # The kernel notifies before it kills, and counts after that
        # (mm/memcontrol-v1.c, mem_cgroup_oom_notify).
        self._look_again(0.001)

    def _look_again(self, pause: float) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = self._loop.call_later(pause, self._later, pause)

    def _later(self, pause: float) -> None:
        self._again = None
        if self._report() and pause < _LONGEST_OOM_PAUSE:
            self._look_again(2 * pause)

    def _report(self) -> bool:
        if read_text(self._control) is None:
            return False
        kills = read_flat_keyed(self._control).get("oom_kill", self._seen)
        while self._seen < kills:
            self._seen += 1
            self._on_kill()
        return True

    def stop(self) -> None:
        if self._event < 0:
            return
        if self._again is not None:
            self._again.cancel()
        self._report()
        self._loop.remove_reader(self._event)
        os.close(self._event)
        self._event = -1
