# SPDX-License-Identifier: Apache-2.0
"""A process and its descendants (man 5 proc, `/proc/PID/task/TID/children`)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from kata_agent.linux.last_place import put_last, wait_for_slice
from kata_agent.linux.pidfd import open_pidfd


def kill_tree(pid: int, pidfd: int) -> None:
    """Send SIGKILL to the process of `pidfd` and to everything below it.

    Every process is stopped before its children are read, so that none of them loses
    its parent, which is the way to it, and none forks meanwhile. The children die
    before their parents, so that nobody reaps them, and no pid is another process's. A
    process that has left its session or its process group is found as well; one whose
    parent has ended before is not. Raises `OSError` if the guest has run out of
    descriptors; the process itself is killed all the same.
    """
    below: list[tuple[int, int]] = []
    try:
        if not _send(pidfd, signal.SIGSTOP):
            return
        waiting = [(child, pid) for child in _children(pid)]
        while waiting:
            child, parent = waiting.pop()
            with _pidfd_of_child(child, parent) as fd:
                if fd is not None and _send(fd, signal.SIGSTOP):
                    below.append((child, parent))
                    waiting += ((each, child) for each in _children(child))
    finally:
        try:
            put_last([child for child, _ in below])
            for number, (child, parent) in enumerate(reversed(below), 1):
                with _pidfd_of_child(child, parent) as fd:
                    if fd is not None and _send(fd, signal.SIGKILL):
                        wait_for_slice(number, len(below), fd)
        finally:
            _send(pidfd, signal.SIGKILL)


@contextlib.contextmanager
def _pidfd_of_child(pid: int, parent: int) -> Iterator[int | None]:
    """Open a child of a stopped parent; None if it is none any more.

    Its pid is of another process if the parent was killed meanwhile.
    """
    try:
        pidfd = open_pidfd(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # A process that has the pid now has had it when the pidfd was opened: no other
        # one can have become a child of the parent since.
        yield pidfd if _parent_of(pid) == parent else None
    finally:
        os.close(pidfd)


def _send(pidfd: int, number: int) -> bool:
    """Send a signal; tell whether there was such a process."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # pid (command) state ppid ...; the command may hold anything.
            return int(file.read().rpartition(b")")[2].split(maxsplit=2)[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _children(pid: int) -> Iterator[int]:
    # A thread may end while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                yield from map(int, file.read().split())
