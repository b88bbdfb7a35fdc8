# SPDX-License-Identifier: Apache-2.0
"""A call that starts something, which ends with a caller that gives up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ttrpc.errors import TtrpcError

T = TypeVar("T")

ENDING_TIMEOUT: Final = 5.0
"""Seconds that a caller that gives up a start waits for the guest to end it."""


async def start_or_end(
    start: Awaitable[T], end: Callable[[asyncio.Future[T]], Awaitable[None]]
) -> T:
    """Return the answer of the call `start`.

    For a caller that is cancelled, `end` is called with the call, which goes on, for up
    to ENDING_TIMEOUT seconds: ttrpc has no message that cancels a call.
    """
    call = asyncio.ensure_future(start)
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        with contextlib.suppress(TimeoutError, TtrpcError):
            async with asyncio.timeout(ENDING_TIMEOUT):
                await end(call)
        raise
    finally:
        call.cancel()
