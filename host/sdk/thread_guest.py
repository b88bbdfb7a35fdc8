# SPDX-License-Identifier: Apache-2.0
"""A guest of this process, whose start and stop block no event loop.

    an event loop ── start, ending, stop ──> one thread ──> LocalGuest or VmGuest

All that the thread does for the guest is done in turn. It lives as long as the guest,
because the kernel ends a VM with the thread that has started it. If the program is
killed, the guest ends with it, and the next start of any guest removes what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from kata_host.guest.guest import GuestError, OwnGuest
from kata_host.keeper.leftovers import remove_leftovers
from kata_host.uncancelled import uncancelled

T = TypeVar("T")

ENDING_PATIENCE: Final = 1.0
"""Seconds that a guest may take to end once the connection to its agent is lost."""


class ThreadGuest:
    """A guest that is started at most once, from any thread's event loop."""

    def __init__(self, make: Callable[[], OwnGuest]) -> None:
        """`make` returns the guest, not started; it may block."""
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kata-guest")
        self._guest: OwnGuest | None = None
        self._is_given_up = False
        self._is_stopped = False

    async def start(self) -> str:
        """Start the guest and return its agent's address, which may not answer yet.

        Raises `GuestError`, and the errors of `make`. A caller that is cancelled waits
        until nothing is left of the guest.
        """
        starting = self._do(self._start)
        try:
            return await asyncio.shield(starting)
        except BaseException:
            self._is_given_up = True
            if (guest := self._guest) is not None:
                guest.give_up()
                await self.stop()
            else:
                # The thread is still in `make`, and makes no guest any more.
                self._thread.shutdown(wait=False)
            raise

    async def stop(self) -> None:
        """End the guest and remove all of it; a caller that is cancelled waits too."""
        self._is_stopped = True
        try:
            await uncancelled(self._do(self._stop))
        finally:
            self._thread.shutdown(wait=False)

    async def ending(self, patience: float = 0) -> str | None:
        """Return a line that says how the guest ended, or None while it runs.

        Waits for an end for up to `patience` seconds.
        """
        if self._is_stopped:
            return "stopped"
        return await asyncio.shield(self._do(lambda: self._describe_end(patience)))

    def _start(self) -> str:
        # A registry that cannot be used is no matter of this guest, which is not in it.
        with contextlib.suppress(GuestError):
            remove_leftovers()
        guest = self._guest = self._make()
        if self._is_given_up:
            raise GuestError("guest: given up")
        guest.start()
        return guest.address

    def _stop(self) -> None:
        if self._guest is not None:
            self._guest.stop()

    def _describe_end(self, patience: float) -> str | None:
        assert self._guest is not None
        ending = self._guest.ending(patience)
        if ending is None:
            return None
        return ": ".join([ending, *self._guest.console_tail(1)])

    def _do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future = asyncio.wrap_future(self._thread.submit(work))
        future.add_done_callback(_take_error)
        return future


def _take_error(future: asyncio.Future[Any]) -> None:
    """Take an error that no caller waits for any more, so that it is not logged."""
    if not future.cancelled():
        future.exception()
