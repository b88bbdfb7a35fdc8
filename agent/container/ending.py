# SPDX-License-Identifier: Apache-2.0
"""Whether a process is about to end, before its parent can know."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

_PF_EXITING: Final = 0x4
"""Flag of a process that is in its exit (include/linux/sched.h)."""
_KILL: Final = 1 << (signal.SIGKILL - 1)


def is_ending(proc: Path, pid: int) -> bool:
    """Tell whether `pid` has ended, is in its exit, or has a SIGKILL to take.

    PID 1 of a pid namespace may stay in its exit for a while: it waits there for the
    other processes of the namespace (man 7 pid_namespaces).
    """
    try:
        stat = (proc / str(pid) / "stat").read_text()
        status = (proc / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    # The name, in parentheses, may hold any character (man 5 proc_pid_stat).
    fields = stat.rpartition(")")[2].split()
    state, flags = fields[0], int(fields[6])
    pending = [
        int(line.split()[1], 16)
        for line in status.splitlines()
        if line.startswith(("SigPnd:", "ShdPnd:"))
    ]
    return (
        state in "ZX"
        or bool(flags & _PF_EXITING)
        or any(each & _KILL for each in pending)
    )
