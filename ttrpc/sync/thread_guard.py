# SPDX-License-Identifier: Apache-2.0
"""Tells a second thread, and a process that was forked, that a client is not theirs.

Two threads in one client would read each other's answers, and so would two processes.
To let the second thread wait could be for ever: a thread that waits for a stream's next
message keeps the client.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType


class ThreadGuard:
    """Lets one thread of its process in, any number of times."""

    __slots__ = ("_lock", "_pid")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a child of the one that made the guard."""
        return os.getpid() != self._pid

    def __enter__(self) -> None:
        """Raise RuntimeError if another thread is in, or this process was forked."""
        if self.is_forked:
            raise RuntimeError(
                f"client: process {self._pid} uses it; connect anew after a fork"
            )
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "client: in use by another thread; give each thread its own client"
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
