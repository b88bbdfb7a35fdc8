# SPDX-License-Identifier: Apache-2.0
"""Bounded memory between the log calls and one reader of the log."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

LIMIT: Final = 256 * 1024
"""Bytes that a stream holds: about a thousand lines."""


class LogStream:
    """Lines that wait for one reader. Any thread may put lines; one takes them."""

    def __init__(self, notice: Callable[[int], bytes], limit: int = LIMIT) -> None:
        """Hold up to `limit` bytes; `notice` makes a line of a number of lost lines."""
        self._notice = notice
        self._limit = limit
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._taken = False
        # Readable while there are lines, so that a reader can wait for other files too.
        self._ready = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Return a descriptor that is readable while there are lines."""
        return self._ready

    def put(self, line: bytes) -> None:
        """Add a line, and drop the oldest ones when there is no room."""
        with self._changed:
            self._lines.append(line)
            self._added(line)
            while self._size > self._limit and len(self._lines) > 1:
                self._size -= len(self._lines.popleft())
                self._dropped += 1

    def put_back(self, line: bytes) -> None:
        """Return a line that was taken and reached no reader."""
        with self._changed:
            self._lines.appendleft(line)
            self._added(line)
            self._taken = False

    def _added(self, line: bytes) -> None:
        self._size += len(line)
        if len(self._lines) == 1:
            os.eventfd_write(self._ready, 1)

    def take(self) -> bytes | None:
        """Return the oldest line, or None. The line taken before counts as written."""
        with self._changed:
            self._taken = bool(self._lines)
            if not self._lines:
                self._changed.notify_all()
                return None
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return self._notice(dropped)
            line = self._lines.popleft()
            self._size -= len(line)
            if not self._lines:
                os.eventfd_read(self._ready)
            return line

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether all lines have been written."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._lines and not self._taken, timeout
            )
