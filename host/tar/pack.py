# SPDX-License-Identifier: Apache-2.0
"""Packs a file or a directory of the host as a tar stream, in constant memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.tar.staging import WHOLE, stage
from kata_host.tar.tar_writer import TarWriter

ROOT: Final = (0, 0)
_PACKED: Final = (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG)


@dataclass(frozen=True, slots=True)
class Packed:
    """What is known of an archive that is whole."""

    left_out: Sequence[str] = ()
    """Names of sockets, fifos and device nodes."""
    has_attributes: bool = False
    """Whether an entry has extended attributes."""


def pack(
    source: Path,
    name: str,
    file: BinaryIO,
    owner: tuple[int, int] = ROOT,
    part: str | None = None,
) -> Packed:
    """Write `source` into `file` under the name `name`, with modes, times, links, and
    the extended attributes that `kata_host.tar.tar_writer` names.

    `owner` is a uid and a gid; root's, as docker has it. With a `part`, files with
    holes go before the archive (`kata_host.tar.staging`), which only our own script
    reads. Raises `OSError`.
    """
    if stat.S_IFMT(source.lstat().st_mode) not in _PACKED:
        return Packed([name])
    left_out: list[str] = []
    archive = TarWriter(file, owner)
    staged = {} if part is None else stage(archive, part, _files(source))
    for path, below in _walk(source, name):
        status = path.lstat()
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFDIR:
                archive.add_directory(below, path, status)
            case stat.S_IFLNK:
                archive.add_link(below, path, status)
            case stat.S_IFREG if first := staged.get((status.st_dev, status.st_ino)):
                archive.add_hard_link(below, first)
            case stat.S_IFREG:
                archive.add_file(below, path, status)
            case _:
                left_out.append(below)
    if part is not None:
        archive.add_mark(f"{part}.{WHOLE}")
    archive.finish()
    return Packed(left_out, archive.has_attributes)


def _files(source: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path, _ in _walk(source, ""):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            yield path, status


def _walk(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield what is at `source` and below, a directory before its entries."""
    waiting = [(source, name)]
    while waiting:
        path, below = waiting.pop()
        yield path, below
        if path.is_dir() and not path.is_symlink():
            names = sorted(os.listdir(path), reverse=True)
            waiting.extend((path / entry, f"{below}/{entry}") for entry in names)
