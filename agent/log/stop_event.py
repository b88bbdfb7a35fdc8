# SPDX-License-Identifier: Apache-2.0
"""An event that a thread can wait for together with sockets."""

from __future__ import annotations

import os
import select


class StopEvent:
    """Tells a thread to stop; its descriptor is readable once it is set."""

    def __init__(self) -> None:
        # Never closed, because the thread that waits for it may outlive its owner.
        self._fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._is_set = False

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        self._is_set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> None:
        """Wait for the event, up to `timeout` seconds."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll(timeout * 1000)
