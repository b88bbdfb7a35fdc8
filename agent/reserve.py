# SPDX-License-Identifier: Apache-2.0
"""Descriptors and threads that are kept for taking back what was made.

A guest that runs out of descriptors or processes must still be able to unmount, kill
and delete. Nothing is made unless the reserve is full (`fill`), and only undoing may
use it (`undo`).
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Final

from kata_agent.blocking import start_thread
from kata_agent.errors import ResourceExhausted
from kata_agent.exhaustion import find_exhaustion

DESCRIPTORS: Final = 16
"""The removal of a container has about half as many open at once."""
THREADS: Final = 3
"""Places for a thread, and for the runtime's process and a thread or child of it."""
RETRIES: Final = (0.0, 0.001, 0.01, 0.1, 1.0)
"""Seconds before each try with the reserve: the kernel gives the place of a thread
back a moment after its end, and other calls may take it first."""


class Reserve:
    """Holds them until they are needed. Used from the event loop only."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self._threads: list[_thread.LockType] = []
        """Each is held, and a thread ends when it is released."""
        self._in_use = asyncio.Lock()

    def fill(self) -> None:
        """Take what is missing. Raises `OSError` if the guest does not have it."""
        if self._in_use.locked():
            raise ResourceExhausted("the agent needs all of its reserve to clean up")
        self._take()

    def _take(self) -> None:
        while len(self._descriptors) < DESCRIPTORS:
            flags = os.O_PATH | os.O_CLOEXEC
            self._descriptors.append(os.open("/", flags))
        while len(self._threads) < THREADS:
            waiting = _thread.allocate_lock()
            waiting.acquire()
            start_thread(waiting.acquire)
            self._threads.append(waiting)

    def release(self) -> None:
        """Give everything back."""
        while self._descriptors:
            os.close(self._descriptors.pop())
        while self._threads:
            self._threads.pop().release()

    async def undo(self, step: Callable[[], Awaitable[object]]) -> None:
        """Take `step`, again with the reserve if the guest has run out of something.

        The step has to go on where it failed. One at a time uses the reserve. Raises
        the error of the last try.
        """
        try:
            await step()
            return
        except Exception as error:
            if not find_exhaustion(error):
                raise
        async with self._in_use:
            self.release()
            try:
                await _retry(step)
            finally:
                # Or the next `fill` does it, before anything else is made.
                with contextlib.suppress(OSError):
                    self._take()


async def _retry(step: Callable[[], Awaitable[object]]) -> None:
    for pause in RETRIES:
        await asyncio.sleep(pause)
        try:
            await step()
            return
        except Exception as error:
            if pause == RETRIES[-1] or not find_exhaustion(error):
                raise
