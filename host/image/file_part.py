# SPDX-License-Identifier: Apache-2.0
"""A range of an open file, read as a file of its own."""

from __future__ import annotations

import os
from typing import Self

from kata_host.image.errors import ImageError


class FilePart:
    """`size` bytes from `start` of `descriptor`, which stays open."""

    def __init__(
        self, descriptor: int, start: int, size: int, subject: str, *, owned: bool
    ) -> None:
        """With `owned`, the descriptor is closed at the end of the block."""
        self.size = size
        self._descriptor = descriptor
        self._next = start
        self._end = start + size
        self._subject = subject
        self._owned = owned

    def read(self, size: int, /) -> bytes:
        """Raises `ImageError` if the file is shorter than it was."""
        wanted = min(size, self._end - self._next)
        data = os.pread(self._descriptor, wanted, self._next)
        if wanted and not data:
            raise ImageError(f"{self._subject}: unexpected end of data")
        self._next += len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._owned:
            os.close(self._descriptor)
