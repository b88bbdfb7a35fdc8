# SPDX-License-Identifier: Apache-2.0
"""The unified hierarchy (kernel: Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
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
from kata_agent.cgroup.stats_v2 import read_stats
from kata_agent.cgroup.watches import Watches
from kata_agent.errors import Timeout
from kata_protos import agent_pb2

_UNLIMITED: Final = {
    "memory.swap": ("memory.swap.max", "max"),
    "memory.limit": ("memory.max", "max"),
    # It protects memory here: none is what version 1 calls unlimited.
    "memory.reservation": ("memory.low", "0"),
    "cpu.quota": ("cpu.max", "max"),
    "pids.limit": ("pids.max", "max"),
}


class CgroupV2:
    """One directory with everything in it."""

    def __init__(self, directory: Path, watches: Watches) -> None:
        self._directory = directory
        self._watches = watches

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

    def lift(self, limit: str) -> None:
        file, word = _UNLIMITED[limit]
        # A file that is not there limits nothing.
        with contextlib.suppress(FileNotFoundError):
            write(self._directory / file, word)

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Watch `memory.events`, whose `oom_kill` counts the whole subtree."""
        events = self._directory / "memory.events"
        return _OomWatch(events, self._watches, on_kill).stop

    async def remove(self) -> None:
        for directory in descendants(self._directory):
            await remove_directory(directory)

    async def _wait_for_event(self, key: str, value: int) -> None:
        """Wait until `cgroup.events` says so; a cgroup that is gone says anything."""
        events = self._directory / "cgroup.events"
        if read_flat_keyed(events).get(key, value) == value:
            return
        changed = asyncio.Event()
        try:
            stop = self._watches.add(events, changed.set)
        except FileNotFoundError:
            return
        try:
            while read_flat_keyed(events).get(key, value) != value:
                await changed.wait()
                changed.clear()
        finally:
            stop()


class _OomWatch:
    """Turns changes of `memory.events` into one call for each kill."""

    def __init__(
        self, file: Path, watches: Watches, on_kill: Callable[[], None]
    ) -> None:
        self._file = file
        self._on_kill = on_kill
        self._seen = 0
        self._stop: Callable[[], None] | None = None
        if read_text(file) is not None:
            self._stop = watches.add(file, self._report)
            self._report()

    def _report(self) -> None:
        kills = read_flat_keyed(self._file).get("oom_kill", self._seen)
        while self._seen < kills:
            self._seen += 1
            self._on_kill()

    def stop(self) -> None:
        if self._stop is not None:
            # The last kills may be younger than the last notification: the
            # kernel spaces those by 10 ms.
            self._report()
            self._stop()
            self._stop = None
