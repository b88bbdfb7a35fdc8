# SPDX-License-Identifier: Apache-2.0
"""Packs a file or a directory of the host as a tar stream, in constant memory."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

ROOT: Final = (0, 0)
_PACKED: Final = (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG)


def pack(
    source: Path, name: str, file: BinaryIO, owner: tuple[int, int] = ROOT
) -> Sequence[str]:
    """Write `source` into `file` under the name `name`, with modes, times and links.

    `owner` is a uid and a gid; root's, as docker has it. Returns the names of sockets,
    fifos and device nodes, which are left out. Raises `OSError`.
    """
    left_out: list[str] = []

    def prepare(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            left_out.append(entry.name)
            return None
        entry.uid, entry.gid = owner
        entry.uname = entry.gname = ""
        return entry

    status = source.lstat()
    if stat.S_IFMT(status.st_mode) not in _PACKED:
        return [name]
    # GNU's format, which busybox reads too.
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        archive.add(source, name, filter=prepare)
    return left_out
