# SPDX-License-Identifier: Apache-2.0
"""The lines of a file that may be a terminal, a pipe or a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Final

WAITING: Final = 64
"""Lines that are read ahead of their user."""
CHUNK: Final = 65536
"""Bytes of a read."""


async def input_lines(fd: int) -> AsyncIterator[str]:
    """Yield the lines of a file descriptor as they come, without blank ones.

    A thread reads, because an event loop cannot wait for a file on disk. The thread
    ends with the file or with the program.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(WAITING)

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody reads
            for line in _lines(fd):
                room.acquire()
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        room.release()
        yield line


def _lines(fd: int) -> Iterator[str]:
    rest = b""
    while chunk := os.read(fd, CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line.decode(errors="replace")
    if rest.strip():
        yield rest.decode(errors="replace")
