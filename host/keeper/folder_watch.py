# SPDX-License-Identifier: Apache-2.0
"""Wakes up when a file of a container's folder changes (man 7 inotify)."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path
from typing import Final, Self

IN_MODIFY: Final = 0x2
IN_CLOSE_WRITE: Final = 0x8
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
_CHANGES: Final = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE
_EVENTS: Final = 64 * 1024


class FolderWatch:
    """Counts from its start: a change before `wait` is not missed.

    The end of a process that writes a file is a change too, however the process ends,
    because the kernel closes the file.
    """

    def __init__(self, folder: Path) -> None:
        """Raises `OSError`."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        added = -1
        if self._fd >= 0:
            path = os.fsencode(folder)
            added = libc.inotify_add_watch(self._fd, path, _CHANGES)
        if added < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number), str(folder))

    async def wait(self) -> None:
        """Wait for a change since the last call; take all that there are."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
            os.read(self._fd, _EVENTS)
        finally:
            loop.remove_reader(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
