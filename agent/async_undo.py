# SPDX-License-Identifier: Apache-2.0
"""The same as `kata_agent.undo`, with steps that are waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec

P = ParamSpec("P")


class AsyncUndo:
    """Steps that take back what was made. The last goes first; one that fails stays."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], Awaitable[object]]] = []

    def callback(
        self, step: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Add a step."""
        self._steps.append(partial(step, *args, **kwargs))

    async def close(self) -> None:
        """Take every step that is left. Raises the error of the first that fails."""
        while self._steps:
            await self._steps[-1]()
            self._steps.pop()
