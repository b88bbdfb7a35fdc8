# SPDX-License-Identifier: Apache-2.0
"""SIGKILL until no process is left; and by pid, for lack of `cgroup.kill`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Sequence
from typing import Final

from kata_agent.cgroup.cgroup import Cgroup
from kata_agent.linux.pidfd import open_pidfd
from kata_agent.linux.slices import Slices

KILL_INTERVAL: Final = 0.2
"""Seconds from one kill of the whole cgroup to the next, while it is not empty."""


async def kill_until_empty(cgroup: Cgroup) -> None:
    """Kill every process, and return when none is left."""
    while not await cgroup.kill():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_INTERVAL):
                return await cgroup.wait_for_empty()
        # A process of a concurrent exec has joined the cgroup after the kill.


def kill_in_slices(pids: Sequence[int]) -> None:
    """Do as `send_kill` does, the last pid first; of thousands, a slice at a time."""
    slices = Slices(len(pids))
    for pid in reversed(pids):
        with contextlib.suppress(ProcessLookupError):
            pidfd = open_pidfd(pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                slices.add(pidfd)
            finally:
                os.close(pidfd)


def send_kill(pids: Iterable[int]) -> None:
    """Send SIGKILL to every pid, except those that have ended meanwhile.

    Raises `PermissionError` for a process that we may not signal.
    """
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            pidfd = open_pidfd(pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
