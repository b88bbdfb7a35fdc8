# SPDX-License-Identifier: Apache-2.0
"""Descriptors that become readable when a folder changes (man 7 inotify)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

IN_MODIFY: Final = 0x2
IN_CLOSE_WRITE: Final = 0x8
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
EVENTS_SIZE: Final = 64 * 1024
"""Bytes that take all events that there are, with one read."""


def watch_folder(folder: Path, changes: int) -> int:
    """Return a descriptor that does not block, for `changes` (`IN_*`) in `folder`.

    Raises `OSError`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(folder), changes) < 0:
        number = ctypes.get_errno()
        if fd >= 0:
            os.close(fd)
        raise OSError(number, os.strerror(number), str(folder))
    return fd
