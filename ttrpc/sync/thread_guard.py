# SPDX-License-Identifier: Apache-2.0
"""Tells a second thread, and a process that was forked, that a client is not theirs.

Two threads in one client would read each other's answers, and so would two processes.
To let the second thread wait could be for ever: a thread that waits for a stream's next
message keeps the client.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

Exit: TypeAlias = Callable[
    [type[BaseException] | None, BaseException | None, TracebackType | None], None
]


class ThreadGuard:
    """Lets one thread of its process in, any number of times.

    An exception of a signal's handler, such as KeyboardInterrupt, never leaves it
    locked. CPython runs such handlers where a Python function begins, where a loop goes
    on and where a call returns.
    """

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
        try:
            is_in = self._lock.acquire(blocking=False)
        except BaseException:
            # Of a handler that ran when `acquire` returned: `__exit__` is not called.
            try:
                self._lock.release()
            except RuntimeError:
                pass  # Another thread is in.
            raise
        if not is_in:
            raise RuntimeError(
                "client: in use by another thread; give each thread its own client"
            )

    @property
    def __exit__(self) -> Exit:
        """The lock's own, which is no Python function: no handler runs before it.

        `with` asks for it before it enters.
        """
        return self._lock.__exit__
