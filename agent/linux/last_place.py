# SPDX-License-Identifier: Apache-2.0
"""How a crowd is killed while other processes get a CPU in time (man 7 sched).

Each of thousands that die at once is entitled to a CPU as much as any other process,
and all others wait for them, for 0.1 s and more. With a positive nice value they take
what the others leave.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Collection
from typing import Final

CROWD: Final = 256
"""Fewer are over within a few milliseconds."""
SLICE: Final = 64
"""Of a crowd, so many are killed at a time: when the last of them has ended, or after
`LONGEST_WAIT`, the next. Those that die take more than their part of a CPU and leave
before they have paid for it, so the kernel lets others wait until all are gone."""
LONGEST_WAIT: Final = 50
"""Milliseconds; a slice takes a tenth of it, unless the guest is busy."""
NICE: Final = 19
"""A seventieth of a process's usual share. SCHED_IDLE, a three-hundredth, could keep
the last of them, and what they hold in the kernel, from ending on a busy guest."""


def put_last(threads: Collection[int]) -> None:
    """Put threads behind all others, if they are a crowd; one that has ended is fine.

    For threads that die next: they do not come back. The kernel gives a number to
    another thread only after all other numbers. Without CAP_SYS_NICE do nothing.
    """
    if len(threads) < CROWD:
        return
    for thread in threads:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, thread, NICE)


def wait_for_slice(number: int, count: int, pidfd: int) -> None:
    """Wait a moment for the process of `pidfd`, the `number`th of `count` killed ones.

    Waits only if they are a crowd and this one is the last of a slice.
    """
    if count >= CROWD and number % SLICE == 0:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(LONGEST_WAIT)
