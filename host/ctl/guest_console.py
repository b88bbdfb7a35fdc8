# SPDX-License-Identifier: Apache-2.0
"""The host's end of a shell in a guest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class GuestConsole(Protocol):
    """A shell's keys, output and end, over a connection that the caller closes."""

    @property
    def follows_size(self) -> bool:
        """Whether `resize` has an effect."""

    async def send(self, keys: bytes) -> None: ...

    async def resize(self, rows: int, columns: int) -> None: ...

    def output(self) -> AsyncIterator[bytes]:
        """Yield what the terminal shows, to the end."""

    def status(self) -> int:
        """Return the shell's exit status, after its output. Raises `CommandError`."""
