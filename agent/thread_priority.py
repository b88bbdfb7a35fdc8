# SPDX-License-Identifier: Apache-2.0
"""The place of the agent's threads among the guest's processes (man 7 sched).

When thousands of processes of a container end at once, each is as entitled to a CPU as
the agent, and a call would wait for many of them. All threads come first, not the event
loop alone, because it waits for the one that holds the interpreter's lock.

A thread's nice value counts within its autogroup, which is its session's; that has a
value of its own (man 7 sched, "The autogroup feature"). Processes that end leave their
autogroup, and each of them then counts as much as a whole session.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

NICE: Final = -10
"""Nine times the CPU time of a container's process (man 7 sched, "The nice value")."""
SESSION_NICE: Final = -20
"""Of 4,000 processes that end, each counts as much as a session of the usual value;
this one counts as much as 87 of them, with -10 as 9."""
_AUTOGROUP: Final = "/proc/self/autogroup"


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


def prefer_session() -> None:
    """Have the agent's autogroup come first, if the session is the agent's own.

    Without CAP_SYS_NICE or autogroups, and for PID 1 of a machine, which is in none, do
    nothing. A session that has been given a nice value keeps that one.
    """
    # 0 stands for a leader outside of our pid namespace: the supervisor of a guest.
    if os.getsid(0) not in (0, os.getpid()):
        return
    with contextlib.suppress(OSError), open(_AUTOGROUP, "r+") as file:
        if file.read().endswith(" nice 0\n"):
            file.seek(0)
            file.write(str(SESSION_NICE))
