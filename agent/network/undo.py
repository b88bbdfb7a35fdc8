# SPDX-License-Identifier: Apache-2.0
"""A change that fails, or is cancelled, is taken back whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kata_agent.reserve import Reserve


@asynccontextmanager
async def undone_on_failure(
    undo: Callable[[], Awaitable[None]], reserve: Reserve
) -> AsyncIterator[None]:
    """Call `undo` if the block fails or is cancelled, and let it finish.

    A guest that has run out of something undoes with the `reserve`, once more from the
    beginning.

    A second cancellation does not interrupt `undo`, but is raised after it.
    """
    try:
        yield
    except BaseException:
        undoing = asyncio.ensure_future(reserve.undo(undo))
        try:
            await asyncio.shield(undoing)
        except asyncio.CancelledError:
            await undoing
            raise
        raise
