# SPDX-License-Identifier: Apache-2.0
"""How many OCI runtimes work at once: more only make each of them slower."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

PATIENCE: Final = 2.0
"""Seconds; a runtime takes milliseconds, unless it waits for something that hangs."""


class Slots:
    """Places for those who work. One that hangs, on a dead mount, loses its place:
    it works no more, and the others' turn must come."""

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and have it for the block or `PATIENCE` seconds."""
        await self._semaphore.acquire()
        place = _Place(self._semaphore)
        timer = asyncio.get_running_loop().call_later(PATIENCE, place.leave)
        try:
            yield
        finally:
            timer.cancel()
            place.leave()


class _Place:
    """Somebody's turn, which ends once."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    def leave(self) -> None:
        if self._semaphore is not None:
            self._semaphore.release()
            self._semaphore = None
