# SPDX-License-Identifier: Apache-2.0
"""Version 2: one hierarchy for all controllers.

Kernel: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup import tree
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.files import ABSENT, read_flat_keyed, write
from kata_agent.cgroup.kill import kill_in_slices, send_kill
from kata_agent.cgroup.oom_watch_v2 import OomWatchV2
from kata_agent.cgroup.remove import remove_all, remove_unused
from kata_agent.cgroup.stats_v2 import read_stats
from kata_agent.errors import Timeout
from kata_agent.linux.last_place import CROWD, put_last
from kata_agent.linux.slices import LONGEST_KILL
from kata_protos import agent_pb2

MOST_ROUNDS: Final = 10
"""Looks for processes in one kill by pid; a fork bomb needs several."""
UNLIMITED: Final = {
    "memory.swap": ("memory.swap.max", "max"),
    "memory.limit": ("memory.max", "max"),
    # In version 2 a reservation protects memory, and 0 protects none.
    "memory.reservation": ("memory.low", "0"),
    "cpu.quota": ("cpu.max", "max"),
    "pids.limit": ("pids.max", "max"),
}
"""A limit of the OCI spec -> its file, and the value for no limit."""


class CgroupV2:
    """One directory, with the files of all controllers."""

    def __init__(self, directory: Path, watches: FileWatches) -> None:
        self._directory = directory
        self._watches = watches
        self._slicing = threading.Lock()

    def pids(self) -> list[int]:
        return tree.pids(self._directory)

    def exists(self) -> bool:
        return self._directory.exists()

    def is_in_use(self) -> bool:
        return tree.has_processes(self._directory)

    async def prepare_kill(self) -> None:
        with contextlib.suppress(OSError):
            await blocking(self._prepare_kill)

    def _prepare_kill(self) -> None:
        threads = tree.threads(self._directory, "cgroup.threads")
        put_last(threads)
        if len(threads) < CROWD or len(self.pids()) < CROWD:
            return
        # One at a time: the other would take the freeze for a pause, and leave it.
        if self._slicing.acquire(timeout=LONGEST_KILL):
            try:
                self._kill_frozen()
            finally:
                self._slicing.release()

    def _kill_frozen(self) -> None:
        freeze = os.open(self._directory / "cgroup.freeze", os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.read(freeze, 1) == b"1":
                kill_in_slices(self.pids())
                return
            # Frozen processes die, and none of them forks or sees that others die.
            os.write(freeze, b"1")
            try:
                kill_in_slices(self.pids())
            finally:
                os.write(freeze, b"0")
        finally:
            os.close(freeze)

    async def kill(self) -> bool:
        try:
            return await blocking(self._kill)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            # A fork bomb has left no place for a thread.
            return self._kill_at_once()

    def _kill(self) -> bool:
        # Without descriptors, or a freezer (kernel before 5.2), all die at once.
        with contextlib.suppress(OSError):
            self._prepare_kill()
        return self._kill_at_once()

    def _kill_at_once(self) -> bool:
        try:
            write(self._directory / "cgroup.kill", "1")
        except OSError as error:
            # Kernels before 5.14 have no such file, and a threaded cgroup cannot be
            # killed. A cgroup that is gone has no processes either.
            if error.errno not in ABSENT:
                raise
            self._kill_by_pid()
        return not self._events().get("populated", 0)

    def _kill_by_pid(self) -> None:
        killed: set[int] = set()
        for _ in range(MOST_ROUNDS):
            found = self.pids()
            if killed.issuperset(found):
                return
            send_kill(found)
            killed.update(found)

    async def wait_for_empty(self) -> None:
        await self._wait_for_event("populated", 0)

    async def freeze(self, timeout: float) -> None:
        await blocking(write, self._directory / "cgroup.freeze", "1")
        try:
            async with asyncio.timeout(timeout):
                await self._wait_for_event("frozen", 1)
        except BaseException as error:
            await self.thaw()
            if not isinstance(error, TimeoutError):
                raise
            raise Timeout(
                f"cgroup {self._directory.name!r}: not frozen within {timeout} s"
            ) from None

    async def thaw(self) -> None:
        await blocking(write, self._directory / "cgroup.freeze", "0")

    async def thaw_nested(self, ended: Callable[[], Awaitable[object]]) -> None:
        """Do nothing: in version 2 frozen processes die."""

    def stats(self) -> agent_pb2.CgroupStats:
        return read_stats(self._directory)

    def remove_limit(self, limit: str) -> None:
        file, value = UNLIMITED[limit]
        with contextlib.suppress(FileNotFoundError):
            write(self._directory / file, value)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        return OomWatchV2(self._directory, self._watches, on_kill).stop

    def _directories(self) -> list[Path]:
        return [self._directory]

    def try_remove(self) -> bool:
        return remove_unused(self._directories) is None

    async def remove(self) -> None:
        await remove_all(self._directories)

    def _events(self) -> dict[str, int]:
        """Return the flags of `cgroup.events`; none if the cgroup is gone."""
        return read_flat_keyed(self._directory / "cgroup.events")

    async def _wait_for_event(self, key: str, value: int) -> None:
        """Wait until `key` of `cgroup.events` is `value`, or the cgroup is gone."""
        if self._events().get(key, value) == value:
            return
        changed = asyncio.Event()
        try:
            stop = self._watches.add(self._directory / "cgroup.events", changed.set)
        except FileNotFoundError:
            return
        try:
            while self._events().get(key, value) != value:
                await changed.wait()
                changed.clear()
        finally:
            stop()
