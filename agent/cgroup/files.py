# SPDX-License-Identifier: Apache-2.0
"""The formats of cgroupfs files (kernel: Documentation/admin-guide/cgroup-v2.rst).

A controller that is not there has no files: reading one gives None or nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Final

UNLIMITED: Final = (1 << 64) - 1
"""How the word `max` is said in a message of numbers."""
_ABSENT: Final = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)
"""The file, the cgroup it belonged to, or the operation in a threaded cgroup."""


def read_text(path: Path) -> str | None:
    """Return a file's content, or None when it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def read_number(path: Path) -> int | None:
    """Return the one number of a file; `max` is `UNLIMITED`, -1 too."""
    text = read_text(path)
    return None if text is None else to_number(text)


def to_number(text: str) -> int:
    word = text.strip()
    if word == "max":
        return UNLIMITED
    number = int(word)
    return UNLIMITED if number < 0 else number


def read_flat_keyed(path: Path) -> dict[str, int]:
    """Return lines of `KEY NUMBER`."""
    pairs = {}
    for line in (read_text(path) or "").splitlines():
        key, _, number = line.partition(" ")
        pairs[key] = to_number(number)
    return pairs


def read_nested_keyed(path: Path) -> dict[str, dict[str, int]]:
    """Return lines of `NAME KEY=NUMBER KEY=NUMBER...`."""
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
    """Write a file in one call, as cgroupfs wants it. Raises `OSError` naming it."""
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
    """Return the pids in `cgroup` and below it, in our pid namespace's numbers.

    A process of a pid namespace that we cannot see reads as 0 and is left out.
    """
    pids = {
        int(line)
        for directory in descendants(cgroup)
        for line in (read_text(directory / "cgroup.procs") or "").split()
    }
    return sorted(pids - {0})


async def remove_directory(directory: Path) -> None:
    """Remove one empty cgroup; one that is gone is fine."""
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
