# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from kata_host.tar.staging import BLOCK, Extent, extents_of, stage
from kata_host.tar.tar_writer import TarWriter

MIB = 1 << 20


def made(path: Path, size: int, *places: int) -> Path:
    with open(path, "wb") as file:
        for place in places:
            file.seek(place)
            file.write(b"x")
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    ("size", "places", "expected"),
    [
        (0, [], []),
        (MIB, [], []),
        (MIB, [0], [(0, 1)]),
        (MIB, [MIB - 1], [(15, 1)]),
        (MIB + 1, [MIB], [(16, 1)]),
        (MIB, [0, BLOCK, 5 * BLOCK + 9], [(0, 2), (5, 1)]),
    ],
)
def test_extents_are_whole_blocks(
    tmp_path: Path, size: int, places: list[int], expected: list[Extent]
) -> None:
    with open(made(tmp_path / "f", size, *places), "rb") as file:
        assert list(extents_of(file.fileno(), size)) == expected


def test_only_files_with_large_holes_are_staged(tmp_path: Path) -> None:
    disk = made(tmp_path / "disk", 9 * MIB + 5, MIB, 9 * MIB + 4)
    named = made(tmp_path / "named", 9 * MIB)
    os.setxattr(named, "security.capability", bytes.fromhex("01000002" + 32 * "0"))
    small = made(tmp_path / "small", MIB // 2)
    file = io.BytesIO()
    files = [disk, named, small, disk]
    archive = TarWriter(file, (0, 0))
    names = stage(archive, "p", ((path, path.lstat()) for path in files))
    status = disk.stat()
    assert names == {(status.st_dev, status.st_ino): "p.0"}
    block = b"x" + bytes(BLOCK - 1)
    last = b"\0\0\0\0x" + bytes(BLOCK - 5)
    assert file.getvalue() == (
        b"file 0 %d\ndata 16 1\n%bdata 144 1\n%bend %o %d\narchive\n"
        % (9 * MIB + 5, block, last, status.st_mode & 0o7777, int(status.st_mtime))
    )
