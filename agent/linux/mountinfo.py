# SPDX-License-Identifier: Apache-2.0
"""The mounts of a process, read from `/proc/PID/mountinfo` (man 5 proc)."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """One line of the file: a mount."""

    id: int
    major: int
    minor: int
    root: str
    point: str
    fstype: str
    source: str
    options: tuple[str, ...]
    """The options of the file system (`super options`), not those of the mount."""


def read_mounts(mountinfo: Path) -> list[Mount]:
    """Return the mounts that the file lists, in the order they were made.

    Raises `ProcessLookupError` if the process has ended, reaped or not.
    """
    try:
        text = mountinfo.read_text(errors="surrogateescape")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # A zombie has no mount namespace (fs/proc_namespace.c: mounts_open_common).
        raise ProcessLookupError(
            errno.ESRCH, os.strerror(errno.ESRCH), str(mountinfo)
        ) from None
    return list(parse_mountinfo(text))


def parse_mountinfo(text: str) -> Iterator[Mount]:
    """Yield a mount for each line. Raises `OSError` (EINVAL) for any other line."""
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not separator or len(before) < 6 or len(after) < 3:
            raise OSError(errno.EINVAL, f"not a mountinfo line: {line!r}")
        major, _, minor = before[2].partition(":")
        yield Mount(
            id=int(before[0]),
            major=int(major),
            minor=int(minor),
            root=_unescape(before[3]),
            point=_unescape(before[4]),
            fstype=after[0],
            source=_unescape(after[1]),
            options=tuple(after[2].split(",")),
        )


def _unescape(field: str) -> str:
    """Undo the octal escapes of blanks, tabs, newlines and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
