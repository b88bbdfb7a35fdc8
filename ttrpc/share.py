# SPDX-License-Identifier: Apache-2.0
"""The part of a quota that one peer has.

A share may grow while it is smaller than the part of the quota that is free, which is
how network switches divide their packet buffers (Choudhury and Hahne, "Dynamic Queue
Length Thresholds in a Shared-Memory Packet Switch", 1998). The sum thus never exceeds
the limit, busy peers leave room for new ones, and a single peer may use its full
share.
"""

from __future__ import annotations

from typing import Final

from ttrpc.quota import Quota

FREE: Final = 4096 + 256
"""Bytes of one call or stream that are not counted, because its own objects take as
many: one message with 4 KiB of data."""
OVERHEAD: Final = 64
"""Bytes that a message or a pair of metadata counts for besides its own bytes, since
an empty one takes memory too."""


class Share:
    """One peer's part of a quota."""

    __slots__ = ("_limit", "_quota", "size")

    def __init__(self, quota: Quota, limit: int) -> None:
        """Start at 0 bytes; `limit` is the most that this peer may have."""
        self._quota = quota
        self._limit = limit
        self.size = 0
        """Bytes that the peer has, as of the last call of a method."""

    @property
    def allowed(self) -> int:
        """Bytes up to which the share may grow now; negative if it may not grow."""
        return min(self._limit, self.free)

    @property
    def free(self) -> int:
        """Bytes of the quota that no peer has; negative if they have more than it."""
        return self._quota.limit - self._quota.used

    def resize(self, size: int) -> None:
        """Set the size, whether it is allowed or not."""
        self._quota.used += size - self.size
        self.size = size

    def take(self, size: int) -> bool:
        """Grow by `size` unless the share is already over its allowance.

        The share can thus exceed its allowance by one request. Returns whether it
        has grown.
        """
        if self.size > self.allowed:
            return False
        self.resize(self.size + size)
        return True

    def give_back(self, size: int) -> None:
        """Shrink by `size` bytes."""
        self.resize(self.size - size)
