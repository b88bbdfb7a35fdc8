# SPDX-License-Identifier: Apache-2.0
"""Wakes up when a file of a container's folder changes (man 7 inotify)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final, Self

from kata_host.inotify import (
    EVENTS_SIZE,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_MODIFY,
    IN_MOVED_TO,
    watch_folder,
)

_CHANGES: Final = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE


class FolderWatch:
    """Counts from its start: a change before `wait` is not missed.

    The end of a process that writes a file is a change too, however the process ends,
    because the kernel closes the file.
    """

    def __init__(self, folder: Path) -> None:
        """Raises `OSError`."""
        self._fd = watch_folder(folder, _CHANGES)

    async def wait(self) -> None:
        """Wait for a change since the last call; take all that there are."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
            os.read(self._fd, EVENTS_SIZE)
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
