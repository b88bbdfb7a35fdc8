# SPDX-License-Identifier: Apache-2.0
"""Tells when a folder is removed, without looking all the time (man 7 inotify)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Self

from kata_host.inotify import EVENTS_SIZE, IN_DELETE, IN_MOVED_FROM, watch_folder


class FolderEnd:
    """Readable, for `select`, after something was removed beside or with the folder."""

    def __init__(self, folder: Path) -> None:
        """Raises `OSError`."""
        self._folder = folder
        # The folder's own end is told late while a file in it is open.
        self._fd = watch_folder(folder.parent, IN_MOVED_FROM | IN_DELETE)

    def fileno(self) -> int:
        return self._fd

    def has_come(self) -> bool:
        """Tell whether the folder is gone; take the events that there are."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, EVENTS_SIZE)
        return not os.path.lexists(self._folder)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
