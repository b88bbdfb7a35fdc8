# SPDX-License-Identifier: Apache-2.0
"""Files with holes, which go before an archive that knows no holes.

    file NUMBER SIZE              of the file PART.NUMBER
    data BLOCK BLOCKS             BLOCKS blocks follow, which go to BLOCK
    end MODE TIME                 of that file
    archive                       the archive follows

Each is a line. In the archive, the file is a hard link to PART.NUMBER. The last entry
of the archive is PART.whole, for a reader that is not told of an end that came too
soon.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kata_host.tar.tar_writer import CHUNK, OPEN, TarWriter

BLOCK: Final = 64 << 10
"""Bytes of a block; smaller holes are zeros."""
LEAST: Final = 1 << 20
"""Bytes of holes from which on a file is worth its lines."""
WHOLE: Final = "whole"


class Extent(NamedTuple):
    """Blocks that are no hole."""

    first: int
    blocks: int


def stage(
    archive: TarWriter, part: str, files: Iterator[tuple[Path, os.stat_result]]
) -> Mapping[tuple[int, int], str]:
    """Write those of the files that have holes; return their names by device and inode.

    A file with extended attributes is none of them. Raises `OSError`.
    """
    names: dict[tuple[int, int], str] = {}
    for path, status in files:
        inode = (status.st_dev, status.st_ino)
        if status.st_blocks * 512 + LEAST > status.st_size or inode in names:
            continue
        if archive.attributes_of(path):
            continue
        fd = os.open(path, OPEN)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.ESTALE, "has changed while it was copied", path)
            extents = list(extents_of(fd, status.st_size))
            data = sum(extent.blocks for extent in extents) * BLOCK
            if data + LEAST > status.st_size:
                # A file system may keep compressed data.
                continue
            archive.line(f"file {len(names)} {status.st_size}")
            for extent in extents:
                archive.line(f"data {extent.first} {extent.blocks}")
                _write(archive, fd, extent)
            mode = stat.S_IMODE(status.st_mode)
            archive.line(f"end {mode:o} {int(status.st_mtime)}")
        finally:
            os.close(fd)
        names[inode] = f"{part}.{len(names)}"
    archive.line("archive")
    return names


def extents_of(fd: int, size: int) -> Iterator[Extent]:
    """Yield what is no hole, in order (man 2 lseek, SEEK_DATA)."""
    start = end = at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        first = at // BLOCK
        at = os.lseek(fd, at, os.SEEK_HOLE)
        if first > end:
            if end > start:
                yield Extent(start, end - start)
            start = first
        end = -(-at // BLOCK)
    if end > start:
        yield Extent(start, end - start)


def _write(archive: TarWriter, fd: int, extent: Extent) -> None:
    at, end = extent.first * BLOCK, (extent.first + extent.blocks) * BLOCK
    while at < end:
        data = os.pread(fd, min(CHUNK, end - at), at)
        if not data:
            # The last block is cut by the size of the file.
            data = bytes(min(CHUNK, end - at))
        archive.raw(data)
        at += len(data)
