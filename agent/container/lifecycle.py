# SPDX-License-Identifier: Apache-2.0
"""The state of a container, and the steps of the work on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from kata_agent.container.container_state import (
    TRANSITIONS,
    ContainerEvent,
    ContainerState,
)
from kata_agent.errors import (
    Internal,
    InvalidArgument,
    InvalidState,
    NotFound,
    Timeout,
    Unavailable,
)
from kata_agent.interruption import Interruption

_BEFORE_THE_PROGRAM: Final = (ContainerEvent.CREATE, ContainerEvent.START)
"""Events that may fail by themselves, and so end the init."""


class Lifecycle:
    """Orders the work on one container, and ends it for the removal.

    Signals, waits, streams and look-ups never wait for `lock`.
    """

    def __init__(self, container_id: str, is_ending: Callable[[], bool]) -> None:
        """`is_ending` tells whether the init has ended or is about to."""
        self.lock: Final = asyncio.Lock()
        """Held by whoever changes the state."""
        self._id = container_id
        self._is_ending = is_ending
        self._state = ContainerState.CREATING
        self._changing: ContainerEvent | None = None
        self._removal = Interruption(f"container {container_id!r}")
        self._kill = Interruption(f"container {container_id!r}", "it was killed")

    @property
    def state(self) -> ContainerState:
        return self._state

    def check(self, event: ContainerEvent) -> None:
        """Raise unless the container's state has a transition for `event`.

        Raises `InvalidArgument` for a removed container, otherwise `InvalidState`.
        """
        if self._state is ContainerState.REMOVED:
            raise InvalidArgument(f"container {self._id!r}: not found")
        if (self._state, event) not in TRANSITIONS:
            raise InvalidState(
                f"container {self._id!r}: cannot {event}, it is {self._state}"
            )

    def advance(self, event: ContainerEvent) -> None:
        """Go to the next state; an event without a transition changes nothing."""
        self._state = TRANSITIONS.get((self._state, event), self._state)

    @contextlib.asynccontextmanager
    async def step(self, event: ContainerEvent) -> AsyncIterator[None]:
        """Work on the container in the block, which its removal interrupts.

        SIGKILL interrupts what brings its init to the program. Raises what `check`
        raises, and `InvalidState` for a block that is interrupted, or that fails
        because the container ends or is frozen.
        """
        self.check(event)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._removal.step(event))
            if event in _BEFORE_THE_PROGRAM:
                await stack.enter_async_context(self._kill.step(event))
            try:
                yield
            except (Internal, NotFound, Timeout, Unavailable, OSError) as error:
                if event in _BEFORE_THE_PROGRAM:
                    raise
                if self._is_ending():
                    now = "ending"
                elif event is not ContainerEvent.PAUSE and (
                    self._changing is ContainerEvent.PAUSE or self._state.is_paused
                ):
                    now = "being paused"
                else:
                    raise
                raise InvalidState(
                    f"container {self._id!r}: cannot {event}, it is {now} ({error})"
                ) from error

    @contextlib.asynccontextmanager
    async def change(self, event: ContainerEvent) -> AsyncIterator[None]:
        """Do the same after the earlier changes of the state, and before later ones."""
        async with self.lock, self.step(event):
            self._changing = event
            try:
                yield
            finally:
                self._changing = None

    def interrupt(self) -> None:
        """Interrupt every step, and let none begin: the container is to be removed."""
        self._removal.begin()

    def kill(self) -> None:
        """Interrupt the creation or the start, and let none begin: it was killed."""
        self._kill.begin()

    @property
    def is_interrupted(self) -> bool:
        return self._removal.has_begun

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way that a removal would wait for."""
        return not self.lock.locked() and not self._removal.has_steps

    async def wait_for_steps(self) -> None:
        """Return when no step is under way."""
        await self._removal.wait_for_steps()
