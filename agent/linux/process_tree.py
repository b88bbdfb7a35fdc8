# SPDX-License-Identifier: Apache-2.0
"""A process and its descendants (man 5 proc, `/proc/PID/task/TID/children`)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


def kill_tree(pid: int) -> None:
    """Send SIGKILL to `pid`, a child of the caller, and to everything below it.

    Every process is stopped before its children are read, so that none of them loses
    its parent, which is the way to it, and none forks meanwhile. A process that has
    left its session or its process group is found as well; one whose parent has ended
    before is not. The caller reaps no child meanwhile.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting:
        process = waiting.pop()
        found.append(process)
        if _send(process, signal.SIGSTOP):
            waiting.extend(_children(process))
    for process in found:
        _send(process, signal.SIGKILL)


def _send(pid: int, number: int) -> bool:
    """Send a signal; tell whether there was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _children(pid: int) -> Iterator[int]:
    # A thread may end while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                yield from map(int, file.read().split())
