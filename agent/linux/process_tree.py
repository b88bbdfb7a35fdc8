# SPDX-License-Identifier: Apache-2.0
"""A process and its descendants (man 5 proc, `/proc/PID/task/TID/children`)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Final

from kata_agent.linux.last_place import put_last
from kata_agent.linux.pidfd import open_pidfd
from kata_agent.linux.slices import Slices

STOPPED: Final = (b"T", b"t", b"Z", b"X")
"""States of a thread that forks no more; t is that of one that a debugger holds."""
LONGEST_STOP: Final = 1.0
"""Seconds in one `kill_tree` for processes to stop; some may wait for a dead disk."""


def kill_tree(pid: int, pidfd: int) -> None:
    """Send SIGKILL to the process of `pidfd` and to everything below it.

    Every process has stopped before its children are read, so that none of them loses
    its parent, which is the way to it, and none forks meanwhile. The children die
    before their parents, so that nobody reaps them, and no pid is another process's. A
    process that has left its session or its process group is found as well; one whose
    parent has ended before is not, nor is one that a process forks which does not stop
    in time. Raises `OSError` if the guest has run out of descriptors; the process
    itself is killed all the same.
    """
    below: list[tuple[int, int]] = []
    deadline = time.monotonic() + LONGEST_STOP
    try:
        if not _send(pidfd, signal.SIGSTOP):
            return
        parents = [pid]
        while parents:
            children = [
                (c, each) for each in parents for c in _children(each, deadline)
            ]
            parents = []
            for child, parent in children:
                with _pidfd_of_child(child, parent) as fd:
                    if fd is not None and _send(fd, signal.SIGSTOP):
                        below.append((child, parent))
                        parents.append(child)
    finally:
        try:
            put_last([child for child, _ in below])
            slices = Slices(len(below))
            for child, parent in reversed(below):
                with _pidfd_of_child(child, parent) as fd:
                    if fd is not None and _send(fd, signal.SIGKILL):
                        slices.add(fd)
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
    return int(_stat(f"/proc/{pid}")[1])


def _stat(directory: str) -> list[bytes]:
    """Return the state and the parent of a process or thread: X and 0 if it is gone."""
    try:
        with open(f"{directory}/stat", "rb") as file:
            # pid (command) state ppid ...; the command may hold anything.
            return file.read().rpartition(b")")[2].split(maxsplit=2)[:2]
    except (FileNotFoundError, ProcessLookupError):
        return [b"X", b"0"]


def _children(pid: int, deadline: float) -> Iterator[int]:
    """Yield the children of all threads of a process that has been told to stop."""
    seen: set[str] = set()
    # A thread may end while it is looked at, or start another one before it stops.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while threads := set(os.listdir(f"/proc/{pid}/task")) - seen:
            seen |= threads
            for thread in threads:
                yield from _children_of_thread(f"/proc/{pid}/task/{thread}", deadline)


def _children_of_thread(directory: str, deadline: float) -> list[int]:
    # A thread that is in fork stops at the end of it: its child comes after SIGSTOP.
    while _stat(directory)[0] not in STOPPED and time.monotonic() < deadline:
        time.sleep(0.0005)
    try:
        with open(f"{directory}/children") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
