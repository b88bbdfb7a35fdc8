# SPDX-License-Identifier: Apache-2.0
"""The formats of cgroupfs files (kernel: Documentation/admin-guide/cgroup-v2.rst).

A missing controller has no files, so a reader returns None or an empty dict for a file
that is missing. Everything here may block.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Final

UNLIMITED: Final = (1 << 64) - 1
"""Stands for the word `max` in messages that hold numbers."""
_ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""Missing is the file, its cgroup, or the operation in a threaded cgroup."""


def read_text(path: Path) -> str | None:
    """Return a file's content, or None if it is missing. Raises `OSError`."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def read_number(path: Path) -> int | None:
    """Return the number that a file holds, or None if the file is missing."""
    text = read_text(path)
    return None if text is None else to_number(text)


def to_number(text: str) -> int:
    """Return a decimal number; `max` and negative ones are `UNLIMITED`."""
    word = text.strip()
    if word == "max":
        return UNLIMITED
    number = int(word)
    return UNLIMITED if number < 0 else number


def read_flat_keyed(path: Path) -> dict[str, int]:
    """Return the numbers of lines `KEY NUMBER`, by key."""
    pairs = {}
    for line in (read_text(path) or "").splitlines():
        key, _, number = line.partition(" ")
        pairs[key] = to_number(number)
    return pairs


def read_nested_keyed(path: Path) -> dict[str, dict[str, int]]:
    """Return the numbers of lines `NAME KEY=NUMBER KEY=NUMBER...`, by name and key."""
    lines = {}
    for line in (read_text(path) or "").splitlines():
        name, *pairs = line.split()
        lines[name] = {
            key: to_number(number)
            for key, _, number in (pair.partition("=") for pair in pairs)
            if number
        }
    return lines


def write(path: Path, text: str) -> None:
    """Write a file in one call, as cgroupfs requires. Raises `OSError`."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write {text!r} to {path}: {error.strerror}"
        ) from None
    finally:
        os.close(fd)


def descendants(cgroup: Path) -> list[Path]:
    """Return `cgroup` and every cgroup below it, children before their parents."""
    return [Path(directory) for directory, _, _ in os.walk(cgroup, topdown=False)]


def pids_below(cgroup: Path) -> list[int]:
    """Return the pids in `cgroup` and below it, in numbers of our pid namespace.

    The kernel writes 0 for a process outside of our pid namespace; those are left out.
    """
    pids = {
        int(line)
        for directory in descendants(cgroup)
        for line in (read_text(directory / "cgroup.procs") or "").split()
    }
    return sorted(pids - {0})


async def remove_directory(directory: Path) -> None:
    """Remove one empty cgroup; one that is gone is fine. Raises `OSError`."""
    for pause in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, None):
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # Dead processes leave a cgroup a moment after they were reaped.
            if error.errno != errno.EBUSY or pause is None:
                raise
        await asyncio.sleep(pause)
