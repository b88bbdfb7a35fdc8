# SPDX-License-Identifier: Apache-2.0
"""Writes a tar archive, in constant memory.

`tarfile` makes the headers. Its own writer remembers every entry, cuts what it writes
into pieces of 10 KiB, and waits for a fifo that has taken the place of a file.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from pathlib import Path
from typing import BinaryIO, Final

CHUNK: Final = 256 << 10
"""Bytes that are read and written at a time."""
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TarWriter:
    """An archive in `file`, in GNU's format, which busybox reads too."""

    def __init__(self, file: BinaryIO, owner: tuple[int, int]) -> None:
        """`owner` is the uid and gid of all entries."""
        self._file = file
        self._owner = owner
        self._position = 0
        # By device and inode, for further links to the same file.
        self._names: dict[tuple[int, int], str] = {}
        self._buffer = memoryview(bytearray(CHUNK))

    def add_directory(self, name: str, status: os.stat_result) -> None:
        self._add(self._entry(name, status, tarfile.DIRTYPE))

    def add_link(self, name: str, path: Path, status: os.stat_result) -> None:
        """Add a symbolic link. Raises `OSError`."""
        entry = self._entry(name, status, tarfile.SYMTYPE)
        entry.linkname = os.readlink(path)
        self._add(entry)

    def add_file(self, name: str, path: Path, status: os.stat_result) -> None:
        """Add a file, of which `status` is known. Raises `OSError`.

        A file that grows meanwhile is cut where it ended at first.
        """
        inode = (status.st_dev, status.st_ino)
        if (first := self._names.get(inode)) is not None:
            entry = self._entry(name, status, tarfile.LNKTYPE)
            entry.linkname = first
            self._add(entry)
            return
        with open(os.open(path, _OPEN), "rb", buffering=0) as file:
            opened = os.fstat(file.fileno())
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(errno.ESTALE, "has changed while it was copied", path)
            entry = self._entry(name, opened, tarfile.REGTYPE)
            entry.size = opened.st_size
            self._add(entry)
            left = entry.size
            while left:
                size = file.readinto(self._buffer[: min(left, CHUNK)])
                if not size:
                    reason = "has become shorter while it was copied"
                    raise OSError(errno.ESTALE, reason, path)
                self._write(self._buffer[:size])
                left -= size
        self._write(bytes(-entry.size % tarfile.BLOCKSIZE))
        if status.st_nlink > 1:
            self._names[inode] = name

    def finish(self) -> None:
        """Write the end of the archive, which fills its last record."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._position % tarfile.RECORDSIZE))

    def _entry(self, name: str, status: os.stat_result, type: bytes) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type = type
        entry.mode = stat.S_IMODE(status.st_mode)
        entry.uid, entry.gid = self._owner
        entry.mtime = status.st_mtime
        return entry

    def _add(self, entry: tarfile.TarInfo) -> None:
        self._write(entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))

    def _write(self, data: bytes | memoryview) -> None:
        self._position += len(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
