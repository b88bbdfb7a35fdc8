# SPDX-License-Identifier: Apache-2.0
"""The copies of output to the host that are under way, of every container.

A copy outlives its container, because the host may read it more slowly than the
container is removed.
"""

from __future__ import annotations

import asyncio
from typing import Final

from kata_agent.container.stream_copy import StreamCopy

LONGEST_END: Final = 2.0
"""Seconds for the copies that are left when the sandbox is destroyed."""


class StreamCopies:
    """Keeps each copy until it has ended."""

    def __init__(self) -> None:
        self._copies: set[StreamCopy] = set()

    def add(self, copy: StreamCopy) -> None:
        """Keep `copy` until it has ended."""
        self._copies.add(copy)
        copy.on_done(lambda: self._copies.discard(copy))

    async def finish(self) -> None:
        """Wait for every copy, for `LONGEST_END` seconds; then end those that are left.

        Their processes have ended.
        """
        waits = [asyncio.create_task(copy.wait_for_host()) for copy in self._copies]
        if waits:
            _, late = await asyncio.wait(waits, timeout=LONGEST_END)
            for wait in late:
                wait.cancel()
        for copy in self._copies:
            copy.cancel()
