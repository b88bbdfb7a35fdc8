# SPDX-License-Identifier: Apache-2.0
"""Reads the output that `output_log.py` has written, while more is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from kata_host.keeper.output_log import BEFORE, CURRENT, HEADER


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of a container's output."""

    stream: int
    """1 for standard output, 2 for standard error."""
    time: int
    """Nanoseconds since the epoch."""
    data: bytes


class LogReader:
    """A place in the output of one container, at first the beginning."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = self._open()

    def read(self) -> Iterator[Chunk]:
        """Yield the chunks that are there and not read yet."""
        if not self._files:
            # The keeper had not begun.
            self._files = self._open()
        while self._files:
            yield from _chunks(self._files[0])
            if len(self._files) == 1 and not self._has_moved():
                return
            # Once more: chunks may have come before the file was moved.
            yield from _chunks(self._files[0])
            if len(self._files) == 1:
                self._files += self._after(self._files[0])
            self._files.pop(0).close()

    def close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _open(self) -> list[BinaryIO]:
        while True:
            files = [_try_open(self._folder / name) for name in (BEFORE, CURRENT)]
            opened = [file for file in files if file is not None]
            # A move between the two would lose the file in the middle.
            if files[1] is None or _is_at(files[0], self._folder / BEFORE):
                return opened
            for file in opened:
                file.close()

    def _after(self, last: BinaryIO) -> list[BinaryIO]:
        """Return the files that follow `last`; those between may be gone."""
        files = self._open()
        if len(files) > 1 and os.path.samestat(*map(_status, (files[0], last))):
            files.pop(0).close()
        return files

    def _has_moved(self) -> bool:
        return _try_stat(self._folder / CURRENT) is not None and not _is_at(
            self._files[0], self._folder / CURRENT
        )


def tail(chunks: Sequence[Chunk], lines: int) -> Sequence[Chunk]:
    """Return the chunks of the last lines of an output."""
    if lines <= 0:
        return []
    wanted = lines
    for index in range(len(chunks) - 1, -1, -1):
        data = chunks[index].data
        end = len(data)
        if index == len(chunks) - 1 and data.endswith(b"\n"):
            # The newline at the end opens no line.
            end -= 1
        while (end := data.rfind(b"\n", 0, end)) >= 0:
            wanted -= 1
            if not wanted:
                first = chunks[index]
                rest = Chunk(first.stream, first.time, data[end + 1 :])
                return [rest, *chunks[index + 1 :]]
    return chunks


def _chunks(file: BinaryIO) -> Iterator[Chunk]:
    while True:
        place = file.tell()
        header = file.read(HEADER.size)
        if len(header) == HEADER.size:
            stream, time, length = HEADER.unpack(header)
            data = file.read(length)
            if len(data) == length:
                yield Chunk(stream, time, data)
                continue
        # What is there of the next chunk is read again when there is more.
        file.seek(place)
        return


def _try_open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _try_stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _status(file: BinaryIO) -> os.stat_result:
    return os.fstat(file.fileno())


def _is_at(file: BinaryIO | None, path: Path) -> bool:
    """Tell whether `file`, None for no file, is what is at `path` now."""
    now = _try_stat(path)
    if file is None or now is None:
        return file is None and now is None
    return os.path.samestat(_status(file), now)
