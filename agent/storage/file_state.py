# SPDX-License-Identifier: Apache-2.0
"""The state of one file, by which `Mirror` tells whether a file has changed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class FileState:
    """If two states of a name are equal, so are owner, mode and content."""

    mode: int
    uid: int
    gid: int
    size: int
    """The size in bytes."""
    modified_ns: int
    """Nanoseconds since 1970."""
    inode: int
    link_target: str = ""
    """Empty for all but symlinks."""

    @classmethod
    def read(cls, entry: int) -> Self:
        """Read the state of an open file, directory or (`O_PATH`) symlink."""
        status = os.fstat(entry)
        is_link = stat.S_ISLNK(status.st_mode)
        return cls(
            mode=status.st_mode,
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            inode=status.st_ino,
            link_target=os.readlink("", dir_fd=entry) if is_link else "",
        )

    @property
    def rank(self) -> int:
        """The order of creation: directories (0), files (1), symlinks (2)."""
        if stat.S_ISDIR(self.mode):
            return 0
        return 2 if stat.S_ISLNK(self.mode) else 1

    def has_type_of(self, other: FileState) -> bool:
        """Tell whether both are directories, both files, or both symlinks."""
        return stat.S_IFMT(self.mode) == stat.S_IFMT(other.mode)

    def is_same(self, other: FileState | None) -> bool:
        """Tell whether nothing has changed.

        Size and time of a directory change with its entries, and so do not count.
        """
        if other is None or not self.has_type_of(other):
            return False
        if stat.S_ISDIR(self.mode):
            return (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)
        return self == other
