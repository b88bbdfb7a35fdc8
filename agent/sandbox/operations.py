# SPDX-License-Identifier: Apache-2.0
"""Operations, which their callers may leave at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Operations:
    """Holds the tasks of the operations that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def complete(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return the result of `operation`; a cancelled caller leaves it running."""
        return await self._result(self.start(operation))

    async def attend(
        self,
        operation: Coroutine[Any, Any, T],
        ended: Callable[[], None] = lambda: None,
    ) -> T:
        """Return the result of `operation`; a cancelled caller ends it.

        The caller does not wait until the operation has taken back what it has begun.
        `ended` is called after that, also if the operation never began.
        """
        task = self.start(operation)
        # Before the caller goes on, whose callback comes later.
        task.add_done_callback(lambda _: ended())
        try:
            return await self._result(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _result(self, task: asyncio.Task[T]) -> T:
        """Return the result of a task that outlives a cancelled caller."""
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.abandon(task)
            raise

    def start(self, operation: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `operation` in a task that is kept until it ends."""
        task = asyncio.create_task(operation)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def abandon(self, task: asyncio.Task[Any]) -> None:
        """Have the error of an operation logged, because no caller waits for it."""
        task.add_done_callback(_log_failure)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # asyncio complains about an error that no caller has looked at.
            task.exception()


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.debug("operation failed", exc_info=task.exception())
