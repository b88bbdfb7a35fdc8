# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a file have come: half-open ranges, in order and apart."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = list[tuple[int, int]]


def add_range(ranges: Ranges, start: int, end: int) -> Ranges:
    """Return `ranges` with [start, end) in it, joined to those that it touches."""
    if start == end:
        return ranges
    apart = [r for r in ranges if r[1] < start or r[0] > end]
    touched = [r for r in ranges if r[1] >= start and r[0] <= end]
    joined = (
        min([start, *(r[0] for r in touched)]),
        max([end, *(r[1] for r in touched)]),
    )
    return sorted([*apart, joined])
