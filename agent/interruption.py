# SPDX-License-Identifier: Apache-2.0
"""Ending what is under way on an object, because it is to be removed or killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from kata_agent.errors import InvalidState


class Interruption:
    """Cancels the steps that are under way, once, and lets no further step begin.

    A step is a block that a cancellation cannot leave half-done: whatever it has begun
    is undone by the block itself, or by the removal.
    """

    def __init__(self, subject: str, because: str = "it is being removed") -> None:
        """`subject` begins the messages, `container 'a1'`, and `because` ends them."""
        self._subject: Final = subject
        self._because: Final = because
        self._steps: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.has_begun = False

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Run the block as a step. Raises `InvalidState` if it is interrupted."""
        if self.has_begun:
            raise InvalidState(f"{self._subject}: cannot {name}, {self._because}")
        step = asyncio.timeout(None)
        try:
            async with step:
                self._steps.add(step)
                self._idle.clear()
                try:
                    yield
                finally:
                    self._steps.discard(step)
        except TimeoutError as error:
            if not step.expired():
                raise
            raise InvalidState(
                f"{self._subject}: {name} ended, because {self._because}"
            ) from error
        finally:
            if not self._steps:
                self._idle.set()

    def begin(self) -> None:
        """Interrupt every step."""
        if self.has_begun:
            return
        self.has_begun = True
        now = asyncio.get_running_loop().time()
        for step in self._steps:
            step.reschedule(now)

    @property
    def has_steps(self) -> bool:
        """Whether a step is under way."""
        return not self._idle.is_set()

    async def wait_for_steps(self) -> None:
        """Return when no step is under way."""
        await self._idle.wait()
