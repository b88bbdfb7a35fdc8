# SPDX-License-Identifier: Apache-2.0
"""Tells when a folder is removed, without looking all the time (man 7 inotify)."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Final, Self

IN_MOVED_FROM: Final = 0x40
IN_DELETE: Final = 0x200
_EVENTS: Final = 64 * 1024


class FolderEnd:
    """Readable, for `select`, after something was removed beside or with the folder."""

    def __init__(self, folder: Path) -> None:
        """Raises `OSError`."""
        self._folder = folder
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        added = -1
        if self._fd >= 0:
            # The folder's own end is told late while a file in it is open.
            parent = os.fsencode(folder.parent)
            mask = IN_MOVED_FROM | IN_DELETE
            added = libc.inotify_add_watch(self._fd, parent, mask)
        if added < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number), str(folder.parent))

    def fileno(self) -> int:
        return self._fd

    def has_come(self) -> bool:
        """Tell whether the folder is gone; take the events that there are."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, _EVENTS)
        return not os.path.lexists(self._folder)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
