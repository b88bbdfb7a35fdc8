# SPDX-License-Identifier: Apache-2.0
"""A clean-up that a cancelled caller waits for too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def uncancelled(work: Awaitable[T]) -> T:
    """Return the result of `work`, which goes on if the caller is cancelled.

    The caller's cancellation is raised after its end.
    """
    doing = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Taken, so that it is not logged beside the cancellation.
        doing.exception()
        raise cancelled
    return doing.result()
