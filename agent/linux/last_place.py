# SPDX-License-Identifier: Apache-2.0
"""The last place for a CPU, for a crowd that is about to be killed (man 7 sched).

Each of thousands that die at once is entitled to a CPU as much as any other process,
and all others wait for them, for 0.1 s and more. With a positive nice value they take
what the others leave.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from typing import Final

CROWD: Final = 256
"""Fewer are over within a few milliseconds."""
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
