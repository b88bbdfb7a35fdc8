# SPDX-License-Identifier: Apache-2.0
"""Tells a second thread at once that a client is in use.

Two threads in one client would read each other's answers. To let the second one wait
could be for ever: a thread that waits for a stream's next message keeps the client.
"""

from __future__ import annotations

import threading
from types import TracebackType


class ThreadGuard:
    """Lets one thread at a time in, any number of times."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        """Raise RuntimeError if another thread is in."""
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
