# SPDX-License-Identifier: Apache-2.0
"""The part of a quota that one peer has.

A share may grow while it is smaller than the part of the quota that is free, which is
how network switches divide their packet buffers (Choudhury and Hahne, "Dynamic Queue
Length Thresholds in a Shared-Memory Packet Switch", 1998). The sum thus never exceeds
the limit, busy peers leave room for new ones, and a single peer may use its full
share.

Peers that hold bytes and do nothing more could still lock all others out. A share is
therefore always allowed some bytes, and for more, a large frame whose rest does
not come gives way.
"""

from __future__ import annotations

from typing import Final

from ttrpc.quota import Quota

FREE: Final = 4096 + 256
"""Bytes of one call or stream that are not counted, because its own objects take as
many: one message with 4 KiB of data."""
GUARANTEED: Final = 64 << 10
"""Bytes that `take` allows each peer, however much the others have."""
GUARANTEED_PART: Final = 256
"""A small quota guarantees less: its limit divided by this."""
OVERHEAD: Final = 64
"""Bytes that a message or a pair of metadata counts for besides its own bytes, since
an empty one takes memory too."""


class Share:
    """One peer's part of a quota."""

    __slots__ = ("_guaranteed", "_limit", "quota", "size")

    def __init__(self, quota: Quota, limit: int) -> None:
        """Start at 0 bytes; `limit` is the most that this peer may have."""
        self.quota = quota
        self._limit = limit
        self._guaranteed = min(GUARANTEED, limit, quota.limit // GUARANTEED_PART)
        self.size = 0
        """Bytes that the peer has, as of the last call of a method."""

    @property
    def allowed(self) -> int:
        """Bytes up to which the share may grow now; negative if it may not grow."""
        return min(self._limit, self.free)

    @property
    def free(self) -> int:
        """Bytes of the quota that no peer has; negative if they have more than it."""
        return self.quota.limit - self.quota.used

    def resize(self, size: int) -> None:
        """Set the size, whether it is allowed or not."""
        self.quota.used += size - self.size
        self.size = size

    def take(self, size: int) -> bool:
        """Grow by `size` unless the share is already over its allowance.

        The share can thus exceed its allowance by one request. Returns whether it
        has grown.
        """
        if self.size > self.allowed and not self._finds_room(size):
            return False
        self.resize(self.size + size)
        return True

    def _finds_room(self, size: int) -> bool:
        """Tell whether the share may grow although the quota is used up."""
        if self.size > self._limit:
            return False
        if self.size + size <= self._guaranteed:
            return True
        while self.size > self.free:
            if not self.quota.reclaim(self.size):
                return False
        return True

    def give_back(self, size: int) -> None:
        """Shrink by `size` bytes."""
        self.resize(self.size - size)
