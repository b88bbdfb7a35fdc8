# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes that is read once, forwards."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """What layers are read from: a file, a member of an archive, a decoder."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, and none at the end."""
