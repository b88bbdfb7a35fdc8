# SPDX-License-Identifier: Apache-2.0
"""OOM kills of version 1: an eventfd that the kernel signals.

Kernel: Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control". The kernel
signals before it kills and counts the kill after that (mm/memcontrol-v1.c,
mem_cgroup_oom_notify). The kernel signals more than once for a kill, and once more when
the cgroup is removed. So after each signal the count is read several times.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kata_agent.cgroup.files import read_flat_keyed, read_text, write
from kata_agent.linux.beneath import opened

SHORTEST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.5
"""Seconds. A kill is counted within the sum of the pauses after its signal."""


class OomWatchV1:
    """Calls `on_kill` once for each kill, until `stop` or the end of the cgroup."""

    def __init__(self, directory: Path, on_kill: Callable[[], None]) -> None:
        """`directory` is the cgroup's in the memory hierarchy; none is fine.

        Raises `OSError`.
        """
        self._control = directory / "memory.oom_control"
        self._on_kill = on_kill
        self._reported = 0
        self._signalled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        try:
            control = os.open(self._control, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        with opened(control):
            self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                write(directory / "cgroup.event_control", f"{self._eventfd} {control}")
                loop = asyncio.get_running_loop()
                loop.add_reader(self._eventfd, self._receive)
            except BaseException:
                os.close(self._eventfd)
                raise
        self._task = loop.create_task(self._follow())
        # Called even if the task is cancelled before its first step.
        self._task.add_done_callback(self._close)

    def stop(self) -> None:
        """Report the last kills and end the watch."""
        if self._task is not None:
            self._report()
            self._task.cancel()
            self._task = None

    def _receive(self) -> None:
        os.eventfd_read(self._eventfd)
        self._signalled.set()

    async def _follow(self) -> None:
        """Report after each signal, then after pauses that double, then wait."""
        pause: float | None = None
        while self._report():
            try:
                async with asyncio.timeout(pause):
                    await self._signalled.wait()
            except TimeoutError:
                assert pause is not None
                pause = 2 * pause if pause < LONGEST_PAUSE else None
            else:
                self._signalled.clear()
                pause = SHORTEST_PAUSE

    def _report(self) -> bool:
        """Call `on_kill` for each new kill; return False if the cgroup is gone."""
        if read_text(self._control) is None:
            return False
        kills = read_flat_keyed(self._control).get("oom_kill", self._reported)
        while self._reported < kills:
            self._reported += 1
            self._on_kill()
        return True

    def _close(self, task: asyncio.Task[None]) -> None:
        asyncio.get_running_loop().remove_reader(self._eventfd)
        os.close(self._eventfd)
