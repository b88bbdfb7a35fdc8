# SPDX-License-Identifier: Apache-2.0
"""The place of the agent's threads among the guest's processes (man 7 sched).

When thousands of processes of a container end at once, each is as entitled to a CPU as
the agent, and a call would wait for many of them. All threads come first, not the event
loop alone, because it waits for the one that holds the interpreter's lock.
"""

from __future__ import annotations

import os
from typing import Final

NICE: Final = -10
"""Nine times the CPU time of a container's process (man 7 sched, "The nice value")."""


def prefer_thread() -> None:
    """Have the calling thread come first; without CAP_SYS_NICE, do nothing.

    Processes and threads that it starts have the usual priority. A thread that has been
    given a nice value keeps that one.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        return
