# SPDX-License-Identifier: Apache-2.0
"""The bytes of a file that have been received, as ranges."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = list[tuple[int, int]]
"""Half-open [start, end), in order; no two overlap or touch."""


def add_range(ranges: Ranges, start: int, end: int) -> Ranges:
    """Return `ranges` with [start, end) added, joined with those that it touches."""
    if start == end:
        return ranges
    apart = [r for r in ranges if r[1] < start or r[0] > end]
    touched = [r for r in ranges if r[1] >= start and r[0] <= end]
    joined = (
        min([start, *(r[0] for r in touched)]),
        max([end, *(r[1] for r in touched)]),
    )
    return sorted([*apart, joined])
