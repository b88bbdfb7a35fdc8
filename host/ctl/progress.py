# SPDX-License-Identifier: Apache-2.0
"""How far a long copy is, on the user's terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

from kata_host.ctl.patience import PATIENCE
from kata_host.printable import printable

INTERVAL: Final = 0.5
"""Seconds between two pictures."""
_MIB: Final = 1 << 20
_CLEAR: Final = "\r\x1b[K"
"""To the beginning of the line, and erase it (ECMA-48, EL)."""


class Progress:
    """Counts the bytes of a copy."""

    def __init__(self, what: str) -> None:
        """`what` says what goes on."""
        self.bytes = 0
        self._what = printable(what)
        self._began = time.monotonic()

    async def counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks, and count those that have been taken."""
        async for data in chunks:
            yield data
            self.bytes += len(data)

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the count while the block runs, if it takes longer than `PATIENCE`.

        Nothing is shown where standard error is no terminal, and nothing stays.
        """
        if not os.isatty(2):
            yield
            return
        showing = asyncio.create_task(self._show())
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    async def _show(self) -> None:
        await asyncio.sleep(PATIENCE)
        with _cleared():
            while True:
                print(_CLEAR, self.line(), sep="", end="", file=sys.stderr, flush=True)
                await asyncio.sleep(INTERVAL)

    def line(self) -> str:
        """Return what is shown now, which fits into the terminal's line."""
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = self.bytes / _MIB / seconds
        done = f"{self.bytes // _MIB} MiB, {rate:.0f} MiB/s"
        try:
            columns = os.get_terminal_size(2).columns
        except OSError:
            columns = 0
        return f"kata-agent-ctl: {done}, {self._what}"[: (columns or 80) - 1]


@contextlib.contextmanager
def _cleared() -> Iterator[None]:
    try:
        yield
    finally:
        print(_CLEAR, end="", file=sys.stderr, flush=True)
