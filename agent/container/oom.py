# SPDX-License-Identifier: Apache-2.0
"""OOM kills: whom the kernel takes first, and each reported once to one caller."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from pathlib import Path
from typing import Final

from kata_agent.errors import Internal

log = logging.getLogger(__name__)

PENDING_LIMIT: Final = 100
"""Kills kept while nobody asks; the oldest are dropped."""


def set_score(proc: Path, pid: int, score: int) -> None:
    """Set how soon the kernel kills `pid` (`oom_score_adj`, man 5 proc).

    crun sets it for a container's init alone. A process that has ended is fine, and
    so is a lower score that needs CAP_SYS_RESOURCE.
    """
    try:
        (proc / str(pid) / "oom_score_adj").write_text(str(score))
    except (FileNotFoundError, ProcessLookupError):
        return
    except PermissionError:
        log.warning("OOM score not set", extra={"pid": pid, "score": score})


class OomEvents:
    """Hands container ids from the cgroups to `GetOOMEvent`."""

    def __init__(self) -> None:
        self._pending: deque[str] = deque(maxlen=PENDING_LIMIT)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def report(self, container_id: str) -> None:
        """Tell of one kill."""
        self._pending.append(container_id)
        self._wake_one()

    async def next(self) -> str:
        """Return the next kill's container. Raises `Internal` after `close`.

        A caller that is cancelled takes no event with it.
        """
        while not self._pending:
            if self._closed:
                raise Internal("sandbox: destroyed, there are no more events")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()
                raise
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        return self._pending.popleft()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def open(self) -> None:
        """Begin again, for a new sandbox."""
        self._closed = False
        self._pending.clear()

    def close(self) -> None:
        """Wake everybody: there will be no more events."""
        self._closed = True
        while self._waiters:
            self._wake_one()
