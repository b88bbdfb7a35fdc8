# SPDX-License-Identifier: Apache-2.0
"""A range of bytes that lies scattered over several buffers."""

from __future__ import annotations

from collections.abc import Sequence


def cut(buffers: Sequence[memoryview], start: int, length: int) -> list[memoryview]:
    """Return the views of at most `length` bytes of `buffers` from byte `start` on."""
    parts: list[memoryview] = []
    for buffer in buffers:
        part = buffer[start : start + length]
        start = max(0, start - len(buffer))
        if part:
            parts.append(part)
            length -= len(part)
    return parts
