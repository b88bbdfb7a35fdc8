# SPDX-License-Identifier: Apache-2.0
"""Writes a cpio archive in the `newc` form, which the kernel unpacks as initramfs.

Every entry belongs to root and has the same time, so that the same files give the same
bytes. Archives may be concatenated: the kernel unpacks each over the ones before it.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"
_ALIGNMENT: Final = 4
_BLOCK: Final = 512


class CpioArchive:
    """An archive that grows in memory; `time` is that of every entry, in seconds."""

    def __init__(self, *, time: int = 0) -> None:
        self._time = time
        self._inode = 0
        self._data = bytearray()
        self._directories: set[str] = set()

    def add_directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory and those above it, because the kernel does not make them."""
        parent = os.path.dirname(name)
        if parent:
            self.add_directory(parent)
        if name not in self._directories:
            self._directories.add(name)
            self._add(name, stat.S_IFDIR | mode)

    def add_file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self.add_directory(os.path.dirname(name))
        self._add(name, stat.S_IFREG | mode, content)

    def add_symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self.add_directory(os.path.dirname(name))
        self._add(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def add_tree(self, tree: Path, name: str) -> None:
        """Add every directory, file and link below `tree` as `name`."""
        self.add_directory(name)
        for path in sorted(tree.rglob("*")):
            inside = f"{name}/{path.relative_to(tree)}"
            if path.is_symlink():
                self.add_symlink(inside, os.readlink(path))
            elif path.is_dir():
                self.add_directory(inside)
            else:
                mode = 0o755 if os.access(path, os.X_OK) else 0o644
                self.add_file(inside, path.read_bytes(), mode)

    def finish(self) -> bytes:
        """Return the whole archive."""
        self._add(_TRAILER, 0)
        self._pad(_BLOCK)
        return bytes(self._data)

    def _add(self, name: str, mode: int, content: bytes = b"") -> None:
        if not name:
            return
        self._inode += 1
        encoded = os.fsencode(name) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor,
        # rdevminor, namesize, check
        fields = (
            *(self._inode, mode, 0, 0, links, self._time, len(content)),
            *(0, 0, 0, 0, len(encoded), 0),
        )
        self._data += _MAGIC + b"".join(b"%08X" % field for field in fields)
        self._data += encoded
        self._pad(_ALIGNMENT)
        self._data += content
        self._pad(_ALIGNMENT)

    def _pad(self, alignment: int) -> None:
        self._data += bytes(-len(self._data) % alignment)
