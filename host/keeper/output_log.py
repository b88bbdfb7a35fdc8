# SPDX-License-Identifier: Apache-2.0
"""The output of a container, in files of a bounded size.

A chunk of output is a header, with the stream (1 or 2), the time in nanoseconds since
the epoch and the length, and then the bytes as they came. `log` becomes `log.1` when it
is full, and replaces the one before.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import Final

CURRENT: Final = "log"
BEFORE: Final = "log.1"
HEADER: Final = struct.Struct(">BQI")
FILE_LIMIT: Final = 4 << 20
"""Bytes of one of the two files, before the chunk that goes beyond."""


class OutputLog:
    """Writes chunks of output into a container's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = self._open()
        self._size = 0

    def write(self, stream: int, data: bytes) -> None:
        """Add a chunk. Raises `OSError`; the files hold whole chunks even then."""
        if self._size >= FILE_LIMIT:
            self._turn()
        chunk = HEADER.pack(stream, time.time_ns(), len(data)) + data
        try:
            written = os.write(self._fd, chunk)
            if written < len(chunk):
                os.write(self._fd, chunk[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += len(chunk)

    def _turn(self) -> None:
        # The file has moved already if the last attempt had no room for a new one.
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._folder / CURRENT, self._folder / BEFORE)
        new = self._open()
        os.close(self._fd)
        self._fd, self._size = new, 0

    def close(self) -> None:
        """Close the file. A reader who follows looks for the end then."""
        os.close(self._fd)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(self._folder / CURRENT, flags, 0o600)
