# SPDX-License-Identifier: Apache-2.0
"""The bytes that one side may hold for all its peers together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

PATIENCE: Final = 1.0
"""Seconds that a large frame may be on its way before it gives way to others. A whole
one takes milliseconds, so peers that are only busy do not push each other out."""


class LargeFrame(Protocol):
    """A frame of which only a part has arrived."""

    reserved: int
    """Bytes that the frame has of the quota."""
    since: float
    """When it began to arrive, by the clock of the quota."""

    def give_way(self) -> None:
        """Give the bytes back, and discard the frame."""


def _stopped() -> float:
    return 0.0


@dataclass(slots=True, eq=False)
class Quota:
    """A limit and how much of it is used; each peer has a `Share`.

    Without a clock, no frame is ever late.
    """

    limit: int
    """Bytes."""
    used: int = 0
    """The sum of the shares' sizes."""
    clock: Callable[[], float] = _stopped
    """Seconds."""
    large_frames: set[LargeFrame] = field(default_factory=set)
    """Those that may be asked to give way."""

    def reclaim(self, least: int) -> bool:
        """Have the largest frame give way that has been on its way for PATIENCE.

        Returns whether there was one that has `least` bytes.
        """
        before = self.clock() - PATIENCE
        late = [frame for frame in self.large_frames if frame.since <= before]
        largest = max(late, key=lambda frame: frame.reserved, default=None)
        if largest is None or largest.reserved < least:
            return False
        largest.give_way()
        return True
