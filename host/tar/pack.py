# SPDX-License-Identifier: Apache-2.0
"""Packs a file or a directory of the host as a tar stream, in constant memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.tar.tar_writer import TarWriter

ROOT: Final = (0, 0)
_PACKED: Final = (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG)


def pack(
    source: Path, name: str, file: BinaryIO, owner: tuple[int, int] = ROOT
) -> Sequence[str]:
    """Write `source` into `file` under the name `name`, with modes, times and links.

    `owner` is a uid and a gid; root's, as docker has it. Returns the names of sockets,
    fifos and device nodes, which are left out. Raises `OSError`.
    """
    if stat.S_IFMT(source.lstat().st_mode) not in _PACKED:
        return [name]
    left_out: list[str] = []
    archive = TarWriter(file, owner)
    for path, below in _walk(source, name):
        status = path.lstat()
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFDIR:
                archive.add_directory(below, status)
            case stat.S_IFLNK:
                archive.add_link(below, path, status)
            case stat.S_IFREG:
                archive.add_file(below, path, status)
            case _:
                left_out.append(below)
    archive.finish()
    return left_out


def _walk(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield what is at `source` and below, a directory before its entries."""
    waiting = [(source, name)]
    while waiting:
        path, below = waiting.pop()
        yield path, below
        if path.is_dir() and not path.is_symlink():
            names = sorted(os.listdir(path), reverse=True)
            waiting.extend((path / entry, f"{below}/{entry}") for entry in names)
