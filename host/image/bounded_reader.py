# SPDX-License-Identifier: Apache-2.0
"""Bounds what a compressed stream becomes."""

from __future__ import annotations

from kata_host.image.digest import DigestReader
from kata_host.image.errors import ImageError
from kata_host.image.limits import UnpackLimits
from kata_host.tar.readable import Readable


class BoundedReader:
    """Passes `plain` on, which is decompressed from `source`, within limits."""

    def __init__(
        self, plain: Readable, source: DigestReader, subject: str, limits: UnpackLimits
    ) -> None:
        self._plain = plain
        self._source = source
        self._subject = subject
        self._limits = limits
        self._size = 0

    def read(self, size: int, /) -> bytes:
        """Raises `ImageError` when a limit is passed."""
        data = self._plain.read(size)
        self._size += len(data)
        limits = self._limits
        if self._size > limits.size:
            raise ImageError(f"{self._subject}: more than {limits.size} bytes")
        if self._size > limits.ratio_start + limits.ratio * self._source.size:
            raise ImageError(
                f"{self._subject}: expands more than {limits.ratio}-fold, a bomb"
            )
        return data
