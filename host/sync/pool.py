# SPDX-License-Identifier: Apache-2.0
"""Guests that are kept ready, without asyncio."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Self

from kata_host.sdk import pool
from kata_host.sync.blocking import Blocking, blocking
from kata_host.sync.guest import Guest
from kata_host.sync.loop_thread import LOOP


class Pool(Blocking[pool.Pool]):
    """Does what `kata_host.Pool` does, for any number of threads at a time."""

    def __init__(self, size: int, make: Callable[[], Guest]) -> None:
        """`make` returns a guest that is not started. Raises `ValueError`."""
        super().__init__(pool.Pool(size, lambda: make().inner))

    run = blocking(pool.Pool.run)

    @contextlib.contextmanager
    def guest(self) -> Iterator[Guest]:
        """Have a guest for the block, which ends with the block."""
        lent = self.inner.guest()
        guest = Guest(LOOP.wait(lent.__aenter__()))
        try:
            yield guest
        finally:
            LOOP.wait(lent.__aexit__(None, None, None))

    def __enter__(self) -> Self:
        LOOP.wait(self.inner.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        LOOP.wait(self.inner.__aexit__(*exc_info))
