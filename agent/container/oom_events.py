# SPDX-License-Identifier: Apache-2.0
"""The queue of OOM kills, each of which is reported to one caller."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from kata_agent.errors import Ended

PENDING_LIMIT: Final = 100
"""Kills that are kept while no caller asks; the oldest are dropped."""


class OomEvents:
    """Hands container ids from the cgroups to `GetOOMEvent`."""

    def __init__(self) -> None:
        self._pending: deque[str] = deque(maxlen=PENDING_LIMIT)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def report(self, container_id: str) -> None:
        """Add one kill."""
        self._pending.append(container_id)
        self._wake_one()

    async def next(self) -> str:
        """Return the container id of the next kill. Raises `Ended` after `close`.

        A caller that is cancelled takes no event with it.
        """
        while not self._pending:
            if self._closed:
                raise Ended("sandbox: destroyed, there are no more events")
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
        """Wake every caller with an error: there will be no more events."""
        self._closed = True
        while self._waiters:
            self._wake_one()
