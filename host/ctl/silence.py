# SPDX-License-Identifier: Apache-2.0
"""How long a copy waits for a program of a container, which may want to keep us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from kata_host.ctl.errors import CommandError

SILENCE: Final = 60.0
"""Seconds that the program may neither take nor give a byte, nor end after its last. A
slow disk has moved by then."""

T = TypeVar("T")


async def answered(work: Awaitable[T], program: str) -> T:
    """Wait for what `program` does. Raises `CommandError` if it does nothing."""
    try:
        async with asyncio.timeout(SILENCE) as limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise CommandError(
            f"cp: '{program}' in the guest: no answer for {SILENCE:.0f} s"
        ) from None


async def unless_silent(
    chunks: AsyncIterator[bytes], program: str
) -> AsyncIterator[bytes]:
    """Yield the output of `program`. Raises `CommandError` if it stops without end."""
    while data := await answered(anext(chunks, b""), program):
        yield data
