# SPDX-License-Identifier: Apache-2.0
"""Work in a thread that can be undone, for callers that may be cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import ParamSpec

from kata_agent.blocking import blocking
from kata_agent.errors import AgentError

log = logging.getLogger(__name__)

P = ParamSpec("P")


async def make_in_thread(
    make: Callable[P, ExitStack], *args: P.args, **kwargs: P.kwargs
) -> ExitStack:
    """Call `make` in a thread and return its undo. Raises whatever `make` raises.

    A thread cannot be stopped. If the caller is cancelled meanwhile, this function
    therefore waits for the thread, undoes its work, and then raises the cancellation.
    An error of `make` must not take the place of the cancellation, which would be lost.
    """
    work = asyncio.ensure_future(blocking(make, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if work.exception() is None:
            try:
                await blocking(work.result().close)
            except (AgentError, OSError) as error:
                log.warning("cancelled, but not undone", extra={"error": str(error)})
        raise
