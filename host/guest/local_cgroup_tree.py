# SPDX-License-Identifier: Apache-2.0
"""A cgroup of a local guest with all cgroups below it, made by its containers.

A container can nest cgroups deeper than a path may be long, so a walk goes from one
directory to the next by name and `..`. In version 1 a container can freeze a cgroup
below its own, and a frozen process dies only after the thaw.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE: Final = (errno.ENOENT, errno.ENODEV)
# linux/sched.h; the bit of signal 9.
_PF_EXITING: Final = 0x4
_SIGKILL: Final = 1 << 8


def walk(top: str) -> Iterator[int]:
    """Yield a descriptor of each cgroup, children before their parents.

    The next step closes the descriptor. Raises `OSError`.
    """
    try:
        here = os.open(top, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        unvisited = [_children(here)]
        while unvisited:
            if unvisited[-1]:
                try:
                    here = _move(here, unvisited[-1].pop())
                except FileNotFoundError:
                    continue
                unvisited.append(_children(here))
                continue
            yield here
            unvisited.pop()
            if unvisited:
                here = _move(here, "..")
    finally:
        os.close(here)


def _move(here: int, name: str) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def _children(directory: int) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise


def thaw(top: str) -> None:
    """Let every process go on, whichever cgroup is frozen. Raises `OSError`."""
    for directory in walk(top):
        if _read(directory, "freezer.self_freezing").strip() == "1":
            _write(directory, "freezer.state", "THAWED")


def remove(top: str) -> bool:
    """Remove the cgroups; return False if one has processes. Raises `OSError`."""
    in_use = 0
    for directory in walk(top):
        in_use += sum(not _remove(name, directory) for name in _children(directory))
    return not in_use and _remove(top, None)


def _remove(name: str, parent: int | None) -> bool:
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return False
    return True


def endings(top: str) -> list[bool]:
    """Return, for each process, whether it was killed and only has not ended yet.

    A process outside of our pid namespace, which the kernel lists as 0, counts as one
    that lives.
    """
    pids = {
        pid
        for directory in walk(top)
        for pid in _read(directory, "cgroup.procs").split()
    }
    return [_is_ending(pid) for pid in pids]


def _is_ending(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name in parentheses may hold spaces (man 5 proc_pid_stat).
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return pid != "0"
    state, flags, pending = fields[0], int(fields[6]), int(fields[28])
    return state in "ZX" or bool(flags & _PF_EXITING or pending & _SIGKILL)


def _read(directory: int, name: str) -> str:
    try:
        with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)) as file:
            return file.read()
    except OSError as error:
        # A threaded cgroup of version 2 has no list of processes.
        if error.errno in (*_GONE, errno.EOPNOTSUPP):
            return ""
        raise


def _write(directory: int, name: str, text: str) -> None:
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in _GONE:
            raise
