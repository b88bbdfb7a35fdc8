# SPDX-License-Identifier: Apache-2.0
"""A cgroup of the CPU controller for the debug console's shells.

All that a shell starts is in it, and what the shell leaves behind as well. Thousands of
processes in the agent's own cgroup would each be as entitled to a CPU as the agent;
together in a cgroup they count as one (docs/design/blocking.md).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup import tree
from kata_agent.cgroup.files import GONE, read_text, write
from kata_agent.cgroup.open import is_unified
from kata_agent.cgroup.overlap import shells_cgroup
from kata_agent.cgroup.remove import remove_all
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

LONGEST_MOVE: Final = 1.0
"""Seconds that a shell waits for its place; the console has to work when no cgroup can
be changed any more."""
WEIGHTS: Final = {"cpu.shares": "102", "cpu.weight": "10"}
"""The file of each version, and a tenth of a container's weight, which is a hundredth
of that of an agent's thread (`thread_priority.py`). With a container's weight, a crowd
still held the agent up for 150 ms in 3 of 14 tries, and with this one in none of 13."""
RETRY_SECONDS: Final = 0.1
"""Before the next try to remove the cgroup."""
TRIES: Final = 3
"""A cgroup may be removed between its making and the move into it."""


class ShellCgroup:
    """Made with the first shell, and removed when no process is left in it."""

    def __init__(self, directory: Path, weight: str, reaper: Reaper) -> None:
        """`weight` is the file of `WEIGHTS` that cgroups have."""
        self._directory = directory
        self._weight = weight
        self._exists = False
        self._left = asyncio.Event()
        # The last process in it is an orphan, because its parent was in it too.
        reaper.on_orphans(self.left)

    async def add(self, shell: int) -> None:
        """Move the process `shell`; if that is not possible, leave it where it is."""
        self._exists = True
        try:
            async with asyncio.timeout(LONGEST_MOVE):
                await blocking(self._add, shell)
        except (OSError, TimeoutError) as error:
            log.warning(
                "debug console's shell shares the agent's cgroup",
                extra={"shell_pid": shell, "error": str(error) or "timeout"},
            )

    def _add(self, shell: int) -> None:
        for left in reversed(range(TRIES)):
            try:
                if not self._directory.exists():
                    self._make()
                write(self._directory / "cgroup.procs", str(shell))
            except ProcessLookupError:
                return  # It has ended.
            except OSError as error:
                if error.errno not in GONE or not left:
                    raise
            else:
                return

    def _make(self) -> None:
        # Another shell may make it at the same time.
        self._directory.mkdir(exist_ok=True)
        write(self._directory / self._weight, WEIGHTS[self._weight])

    def left(self) -> None:
        """Have a look whether the cgroup can be removed, after a process has ended."""
        # Also during a removal, which may have seen that process.
        self._left.set()

    async def remove_when_left(self) -> None:
        """Remove the cgroup whenever the last process has left it, until cancelled."""
        while True:
            await self._left.wait()
            self._left.clear()
            if not await self.remove():
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._left.set)

    async def remove(self) -> bool:
        """Remove the cgroup, unless a process is in it.

        Returns False if that failed, because the agent had no free descriptor or thread
        for example.
        """
        if not self._exists:
            return True
        # First, because another shell may come meanwhile.
        self._exists = False
        is_left = True
        try:
            if not await blocking(tree.has_processes, self._directory):
                await remove_all(lambda: [self._directory])
                is_left = False
        except OSError:
            return False
        finally:
            self._exists |= is_left
        return True


def open_shell_cgroup(paths: SystemPaths, reaper: Reaper) -> ShellCgroup | None:
    """Return the cgroup for shells, None if this guest cannot give one a CPU share."""
    unified = is_unified(paths.cgroup)
    try:
        path = shells_cgroup(paths.proc, unified=unified)
    except FileNotFoundError:
        return None  # A kernel without cgroups.
    if path is None:
        return None
    if not unified:
        directory = paths.cgroup / "cpu" / path.relative_to("/")
        return ShellCgroup(directory, "cpu.shares", reaper)
    directory = paths.cgroup / path.relative_to("/")
    shared = read_text(directory.parent / "cgroup.subtree_control") or ""
    if "cpu" not in shared.split():
        return None
    return ShellCgroup(directory, "cpu.weight", reaper)
