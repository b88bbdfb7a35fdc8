# SPDX-License-Identifier: Apache-2.0
"""Signals that end a command only after the command has released its resources."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in an event loop; return its result.

    A signal cancels it. After it has released all, `Interrupted` is raised.
    """
    try:
        return asyncio.run(_cancelled_by_signal(work))
    except asyncio.CancelledError:
        if INTERRUPTION.received is None:
            raise
        raise Interrupted(INTERRUPTION.received) from None


async def _cancelled_by_signal(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    # The handler runs between two instructions of any callback of the loop, so it
    # changes nothing there itself.
    with INTERRUPTION.instead(lambda: loop.call_soon_threadsafe(task.cancel)):
        return await task


async def until_signal(seconds: float | None = None) -> None:
    """Wait for a signal that ends the program, or the end of the time."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with INTERRUPTION.instead(lambda: loop.call_soon_threadsafe(stop.set)):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
