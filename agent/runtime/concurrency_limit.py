# SPDX-License-Identifier: Apache-2.0
"""How many OCI runtimes run at once: more only make each of them slower."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

PATIENCE: Final = 2.0
"""Seconds. A runtime takes milliseconds, unless it waits for something that hangs."""


class ConcurrencyLimit:
    """Limits how many tasks run a piece of code at once.

    A task that takes longer than `PATIENCE` gives up its slot and goes on without one,
    so that a dead mount cannot starve the others.
    """

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the block or for `PATIENCE`."""
        await self._semaphore.acquire()
        slot = _Slot(self._semaphore)
        timer = asyncio.get_running_loop().call_later(PATIENCE, slot.give_up)
        try:
            yield
        finally:
            timer.cancel()
            slot.give_up()


class _Slot:
    """One acquisition of the semaphore, which is released once."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    def give_up(self) -> None:
        if self._semaphore is not None:
            self._semaphore.release()
            self._semaphore = None
