# SPDX-License-Identifier: Apache-2.0
"""What a file of a box is."""

from __future__ import annotations

import posixpath
import stat
from dataclasses import dataclass
from typing import Final

from kata_host.errors import FileError

STAT: Final = ("stat", "-c", "%f %u %g %s %Y %n")
"""A command of busybox that writes a line which `parse_info` reads."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file, a folder, a symbolic link or another thing with a name."""

    name: str
    """Without its folder."""
    mode: int
    """Kind and permissions: `st_mode` of man 2 stat."""
    size: int
    """Bytes."""
    uid: int
    gid: int
    modified: int
    """Seconds since the epoch."""

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


def parse_info(line: str) -> FileInfo:
    """Return what a line of `STAT` says. Raises `FileError`."""
    mode, *numbers = line.removesuffix("\n").split(" ", 5)
    try:
        uid, gid, size, modified = map(int, numbers[:4])
        name = posixpath.basename(numbers[4]) or numbers[4]
        return FileInfo(name, int(mode, 16), size, uid, gid, modified)
    except (ValueError, IndexError) as error:
        raise FileError(f"file: the box says {line[:80]!r} of it") from error
