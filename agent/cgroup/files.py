# SPDX-License-Identifier: Apache-2.0
"""The formats of cgroupfs files (kernel: Documentation/admin-guide/cgroup-v2.rst).

A missing controller has no files, so a reader returns None or an empty dict for a file
that is missing. Everything here may block.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

UNLIMITED: Final = (1 << 64) - 1
"""Stands for the word `max` in messages that hold numbers."""
GONE: Final = (errno.ENOENT, errno.ENODEV)
"""The cgroup was removed before or after its file was opened."""
ABSENT: Final = (*GONE, errno.EOPNOTSUPP)
"""Missing is the file, its cgroup, or the operation in a threaded cgroup."""


def read_text(path: Path) -> str | None:
    """Return a file's content, or None if it is missing. Raises `OSError`."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in ABSENT:
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
