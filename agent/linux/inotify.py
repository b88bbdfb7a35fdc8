# SPDX-License-Identifier: Apache-2.0
"""Watch files for changes (man 7 inotify)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_agent.linux import libc

IN_MODIFY: Final = 0x00000002
IN_IGNORED: Final = 0x00008000
_EVENT: Final = struct.Struct("iIII")
"""struct inotify_event: wd, mask, cookie, length of the name that follows."""


class Inotify:
    """One nonblocking inotify descriptor."""

    def __init__(self) -> None:
        self._fd = libc.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor, which is readable while there are events."""
        return self._fd

    def add_watch(self, path: Path, mask: int) -> int:
        """Watch `path`; return its watch descriptor. Raises `OSError`."""
        return libc.call("inotify_add_watch", self._fd, os.fsencode(path), mask)

    def remove_watch(self, watch: int) -> None:
        """Stop a watch. Raises `OSError` if its file is gone already."""
        libc.call("inotify_rm_watch", self._fd, watch)

    def read(self) -> Iterator[tuple[int, int]]:
        """Yield (watch descriptor, mask) of each event so far, without waiting."""
        try:
            events = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(events):
            watch, mask, _cookie, length = _EVENT.unpack_from(events, offset)
            offset += _EVENT.size + length
            yield watch, mask

    def close(self) -> None:
        """Close the descriptor; all its watches end."""
        os.close(self._fd)
