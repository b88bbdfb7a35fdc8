# SPDX-License-Identifier: Apache-2.0
"""A cgroup with all cgroups below it, also while others are made and removed there.

A container that may write its cgroup can nest cgroups deeper than a path may be long
(PATH_MAX, 4,096 bytes) and deeper than a process may hold descriptors. A walk therefore
goes from one directory to the next by name and `..`, with one descriptor open.
Everything here may block.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from kata_agent.cgroup.files import GONE

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def walk(top: Path) -> Generator[int]:
    """Yield a descriptor of each cgroup, children before their parents.

    The descriptor is closed by the next step, and by the end of the walk: a caller that
    may fail in between closes the walk. A cgroup that goes meanwhile is left out, and
    so may be one that comes meanwhile. Raises `OSError`.
    """
    try:
        here = os.open(top, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        unvisited = [_children(here)]
        while unvisited:
            if unvisited[-1]:
                name = unvisited[-1].pop()
                with contextlib.suppress(FileNotFoundError):
                    here = _move(here, name)
                    unvisited.append(_children(here))
                continue
            yield here
            unvisited.pop()
            if unvisited:
                # A cgroup cannot be moved to another parent.
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
        if error.errno in GONE:
            return []
        raise


def read_file(directory: int, name: str) -> str | None:
    """Return the content of a file of a cgroup; None if the file or the cgroup is gone.

    Raises `OSError`, with EOPNOTSUPP for `cgroup.procs` of a threaded cgroup.
    """
    try:
        with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)) as file:
            return file.read()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def write_file(directory: int, name: str, text: str) -> None:
    """Write a file of a cgroup, which may have gone. Raises `OSError`."""
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in GONE:
            raise


def pids(top: Path) -> list[int]:
    """Return the pids of all processes, sorted, in numbers of our pid namespace.

    The kernel writes 0 for a process outside of our pid namespace; those are left out.
    """
    found: set[int] = set()
    with contextlib.closing(walk(top)) as directories:
        for directory in directories:
            found.update(_pids_of(directory))
    return sorted(found - {0})


def threads(top: Path, name: str) -> list[int]:
    """Return the ids of all threads; `name` is the file that lists them.

    Like `pids`, without those outside of our pid namespace.
    """
    found: set[int] = set()
    with contextlib.closing(walk(top)) as directories:
        for directory in directories:
            found.update(map(int, (read_file(directory, name) or "").split()))
    return sorted(found - {0})


def has_processes(top: Path) -> bool:
    """Tell whether `pids` would find one."""
    with contextlib.closing(walk(top)) as directories:
        return any(any(_pids_of(directory)) for directory in directories)


def _pids_of(directory: int) -> Iterator[int]:
    try:
        return map(int, (read_file(directory, "cgroup.procs") or "").split())
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    # A container can make its cgroup a threaded one, which lists threads only (kernel,
    # Documentation/admin-guide/cgroup-v2.rst, "Threads").
    threads = (read_file(directory, "cgroup.threads") or "").split()
    return filter(None, map(_process_of, map(int, threads)))


def _process_of(thread: int) -> int | None:
    """Return the pid of a thread's process; None if it has ended."""
    try:
        with open(f"/proc/{thread}/status") as status:
            for line in status:
                if line.startswith("Tgid:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None


def remove(top: Path) -> bool:
    """Remove a cgroup and those below; return False if some are in use.

    Raises `OSError` for another reason than processes or cgroups in it.
    """
    in_use = 0
    with contextlib.closing(walk(top)) as directories:
        for directory in directories:
            names = _children(directory)
            in_use += sum(not _remove(name, directory) for name in names)
    return not in_use and _remove(os.fspath(top), None)


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
