# SPDX-License-Identifier: Apache-2.0
"""Work in a thread that can be undone, for callers that may be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from kata_agent.blocking import blocking
from kata_agent.undo import Undo

P = ParamSpec("P")


async def make_in_thread(
    undo: Undo,
    make: Callable[Concatenate[Undo, P], None],
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Call `make` in a thread; it tells `undo` of each thing that it makes.

    A thread cannot be stopped. If the caller is cancelled meanwhile, this function
    therefore waits for the thread before it raises the cancellation: then `undo` knows
    everything. An error of `make` must not take the place of the cancellation, which
    would be lost.
    """
    work = asyncio.ensure_future(blocking(make, undo, *args, **kwargs))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        # asyncio complains about an error that no caller has looked at.
        work.exception()
        raise
