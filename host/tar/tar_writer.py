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
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

CHUNK: Final = 256 << 10
"""Bytes that are read and written at a time."""
OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


XATTR: Final = "SCHILY.xattr."
"""Before the names of pax records of extended attributes, as GNU's tar has them."""
USER: Final = "user."
CAPABILITY: Final = "security.capability"


def is_kept(attribute: str) -> bool:
    """Tell whether an extended attribute is copied: as podman's cp, and docker's if it
    is no user's. Others are of one system's policy, or of its file system."""
    return attribute.startswith(USER) or attribute == CAPABILITY


class TarWriter:
    """An archive in `file`, in GNU's format, which busybox reads too.

    Extended attributes are in pax records, which busybox skips.
    """

    def __init__(self, file: BinaryIO, owner: tuple[int, int]) -> None:
        """`owner` is the uid and gid of all entries."""
        self.has_attributes = False
        """Whether an entry has extended attributes."""
        self._file = file
        self._owner = owner
        self._position = 0
        # By device and inode, for further links to the same file.
        self._names: dict[tuple[int, int], str] = {}
        self._buffer = memoryview(bytearray(CHUNK))

    def raw(self, data: bytes | memoryview) -> None:
        """Write data before the archive."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def line(self, text: str) -> None:
        """Write a line before the archive."""
        self.raw(f"{text}\n".encode())

    def attributes_of(self, path: Path) -> Mapping[str, bytes]:
        """Return the extended attributes of a file or directory that are copied.

        Raises `OSError`.
        """
        found = {}
        try:
            for name in os.listxattr(path, follow_symlinks=False):
                if is_kept(name):
                    found[name] = os.getxattr(path, name, follow_symlinks=False)
        except OSError as error:
            # The file system has none, or lost one meanwhile.
            if error.errno not in (errno.ENOTSUP, errno.ENODATA):
                raise
        return found

    def add_mark(self, name: str) -> None:
        """Add an empty file."""
        self._add(tarfile.TarInfo(name))

    def add_hard_link(self, name: str, first: str) -> None:
        """Add another name of the file `first`, which is there already."""
        entry = tarfile.TarInfo(name)
        entry.type = tarfile.LNKTYPE
        entry.linkname = first
        self._add(entry)

    def add_directory(self, name: str, path: Path, status: os.stat_result) -> None:
        self._add_attributes(path)
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
            self.add_hard_link(name, first)
            return
        with open(os.open(path, OPEN), "rb", buffering=0) as file:
            opened = os.fstat(file.fileno())
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(errno.ESTALE, "has changed while it was copied", path)
            entry = self._entry(name, opened, tarfile.REGTYPE)
            entry.size = opened.st_size
            self._add_attributes(path)
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

    def _add_attributes(self, path: Path) -> None:
        """Write the extended attributes of the entry that comes next."""
        records = b"".join(
            _record(os.fsencode(f"{XATTR}{name}"), value)
            for name, value in self.attributes_of(path).items()
        )
        if not records:
            return
        self.has_attributes = True
        header = tarfile.TarInfo("././@PaxHeader")
        header.type = tarfile.XHDTYPE
        header.size = len(records)
        self._add(header)
        self._write(records)
        self._write(bytes(-len(records) % tarfile.BLOCKSIZE))

    def _add(self, entry: tarfile.TarInfo) -> None:
        self._write(entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))

    def _write(self, data: bytes | memoryview) -> None:
        self._position += len(data)
        self.raw(data)


def _record(name: bytes, value: bytes) -> bytes:
    """Return a pax record, whose size is its own first field (POSIX, pax)."""
    rest = b" %b=%b\n" % (name, value)
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return b"%d%b" % (size, rest)
