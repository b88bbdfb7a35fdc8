# SPDX-License-Identifier: Apache-2.0
"""Continues a waiting task at once, and not in the next turn of the event loop.

A future continues its task through the loop's queue, and each turn of the loop asks
the kernel for events: for a small message that costs as much as the rest of the call.
`Wakeup` therefore has the methods that a Task calls on a future (the protocol of
`asyncio.isfuture`), and keeps the callback that continues the task for `wake`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context


class Wakeup:
    """Lets one task at a time wait: `await wakeup` in it, `wakeup.wake()` elsewhere.

    Wake-ups may be spurious: re-check the condition in a loop.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_loop",
        "_proceed",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        """Part of the protocol, in place of `get_loop`, whose call takes longer."""
        self._proceed: Callable[[Wakeup], object] | None = None
        self._context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self._asyncio_future_blocking = False
        """Part of the protocol: True tells the task to wait; the task resets it."""

    def wake(self) -> None:
        """Run the waiting task, if there is one, until it waits again.

        Call it from callbacks of the loop only, because two tasks cannot run at once.
        """
        proceed, self._proceed = self._proceed, None
        if proceed is not None:
            assert self._context is not None
            self._context.run(proceed, self)

    def __await__(self) -> Generator[Wakeup, None, None]:
        if self._proceed is not None:
            raise RuntimeError("stream: two tasks receive at once")
        self._asyncio_future_blocking = True
        yield self

    # The methods that the task calls.

    def add_done_callback(
        self, proceed: Callable[[Wakeup], object], *, context: Context
    ) -> None:
        self._proceed = proceed
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        if self._proceed is None:
            return False
        self._cancelled = asyncio.CancelledError(*() if msg is None else (msg,))
        self._loop.call_soon(self.wake)
        return True

    def result(self) -> None:
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            raise cancelled
