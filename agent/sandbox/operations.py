# SPDX-License-Identifier: Apache-2.0
"""Operations that run to their end, whether or not their caller stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Operations:
    """Holds the tasks of the operations that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def complete(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return the result of `operation`; a cancelled caller leaves it running."""
        return await asyncio.shield(self.start(operation))

    def start(self, operation: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `operation` in a task that is kept until it ends."""
        task = asyncio.create_task(operation)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A caller that waits gets the error too; the line is for callers that left.
            log.debug("operation failed", exc_info=task.exception())
