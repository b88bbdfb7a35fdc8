# SPDX-License-Identifier: Apache-2.0
"""Bytes that one side holds for its peers, and how these share what there is.

A share may grow while it is smaller than what is still free, which is how network
switches divide their packet buffers (Choudhury and Hahne, "Dynamic Queue Length
Thresholds in a Shared-Memory Packet Switch", 1998). So the sum stays below the limit
whoever wants how much, the greedy leave room for who comes next, and one alone may
have the most that a share may have.
"""

from __future__ import annotations

from typing import Final

FREE: Final = 4096
"""Bytes of one call or stream that are not counted: it costs about as much itself."""


class Quota:
    """What all shares have together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Share:
    """What one peer has of a quota."""

    __slots__ = ("_limit", "_quota", "size")

    def __init__(self, quota: Quota, limit: int) -> None:
        self._quota = quota
        self._limit = limit
        self.size = 0
        """Bytes, when they were counted last."""

    @property
    def allowed(self) -> int:
        """The size up to which it may grow as things stand; below 0 if none may."""
        return min(self._limit, self._quota.limit - self._quota.used)

    def resize(self, size: int) -> None:
        self._quota.used += size - self.size
        self.size = size

    def take(self, size: int) -> bool:
        """Grow by `size`, unless it is over already; so it is over by one at most."""
        if self.size > self.allowed:
            return False
        self.resize(self.size + size)
        return True

    def give_back(self, size: int) -> None:
        self.resize(self.size - size)
