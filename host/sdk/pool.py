# SPDX-License-Identifier: Apache-2.0
"""Guests that are kept ready, each of which is used once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from kata_host.errors import SandboxError
from kata_host.sdk.guest import Guest
from kata_host.uncancelled import uncancelled
from ttrpc.errors import TtrpcError

P = ParamSpec("P")
T = TypeVar("T")

CHECK_TIMEOUT: Final = 10.0
"""Seconds that a guest may take to say that it is well, before it is used."""


def _in_a_guest(
    method: Callable[Concatenate[Guest, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Pool, P], Coroutine[Any, Any, T]]:
    """Return a method that calls `method` of a guest of its own."""

    async def call(self: Pool, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.guest() as guest:
            return await method(guest, *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


class Pool:
    """Up to `size` guests at a time, started before they are asked for.

        async with Pool(10, Guest.vm) as pool:
            result = await pool.run(["uname"], timeout=5)

    Each guest is used once and replaced afterwards. More than `size` callers wait. A
    guest that cannot be started is an error of the one caller that was to have it.
    """

    def __init__(self, size: int, make: Callable[[], Guest]) -> None:
        """`make` returns a guest that is not started. Raises `ValueError`."""
        if size < 1:
            raise ValueError(f"pool of {size!r}: not a whole number of 1 or more")
        self._size = size
        self._make = make
        self._slots: set[asyncio.Task[Guest]] = set()
        """The starts that go on, or whose guest nobody has taken yet."""
        self._started: asyncio.Queue[asyncio.Task[Guest] | None] = asyncio.Queue()
        """Those that are done, in their order; None for each caller at the end."""
        self._waiting = 0
        """Callers that wait for a guest."""
        self._taken: set[Guest] = set()
        """The guests that were taken and have not been stopped yet."""
        self._is_open = False

    run = _in_a_guest(Guest.run)
    """Run a command as `Guest.run` does, in a guest of its own. `timeout` is without
    the wait for that guest."""

    @contextlib.asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """Have a guest for the block, which ends with the block.

        Raises the errors of `Guest.start`.
        """
        guest = await self._take()
        try:
            yield guest
        finally:
            self._renew(guest)

    async def __aenter__(self) -> Self:
        self._is_open = True
        for _ in range(self._size):
            self._renew(None)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._is_open = False
        await uncancelled(self._end())

    async def _take(self) -> Guest:
        """Wait for a guest that has started and is well."""
        while True:
            if not self._is_open:
                raise RuntimeError("pool: not open; enter `async with` first")
            started = await self._next_started()
            if started is None or started.cancelled():
                continue  # The pool has ended.
            self._slots.discard(started)
            try:
                guest = started.result()
            except BaseException:
                self._renew(None)
                raise
            self._taken.add(guest)
            try:
                await guest.client.check(CHECK_TIMEOUT)
            except TtrpcError:
                # It has ended while it was kept.
                self._renew(guest)
            except BaseException:
                self._renew(guest)
                raise
            else:
                return guest

    async def _next_started(self) -> asyncio.Task[Guest] | None:
        self._waiting += 1
        try:
            return await self._started.get()
        finally:
            self._waiting -= 1

    def _renew(self, old: Guest | None) -> None:
        """End a guest and start another one in its place."""
        if not self._is_open:
            return
        task = asyncio.create_task(self._replace(old))
        self._slots.add(task)
        task.add_done_callback(self._started.put_nowait)

    async def _replace(self, old: Guest | None) -> Guest:
        if old is not None:
            with contextlib.suppress(SandboxError):
                await old.stop()
            self._taken.discard(old)
        return await self._make().prefer_warm().start()

    async def _end(self) -> None:
        slots = [*self._slots]
        for task in slots:
            # One that is cancelled before its first step has not stopped its guest.
            task.cancel()
        for _ in range(self._waiting):
            self._started.put_nowait(None)
        started = await asyncio.gather(*slots, return_exceptions=True)
        guests = [
            *self._taken,
            *(it for it in started if not isinstance(it, BaseException)),
        ]
        ends = await asyncio.gather(
            *(guest.stop() for guest in guests), return_exceptions=True
        )
        for end in ends:
            if end is not None:
                raise end
