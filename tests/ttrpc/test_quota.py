# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.quota import PATIENCE, Quota


class Part:
    """A frame that has begun to arrive."""

    def __init__(self, quota: Quota, reserved: int) -> None:
        self.quota = quota
        self.reserved = reserved
        self.since = quota.clock()
        quota.large_frames.add(self)

    def give_way(self) -> None:
        self.quota.large_frames.remove(self)


def test_the_largest_frame_gives_way_once_it_is_late() -> None:
    now = 5.0
    quota = Quota(1000, clock=lambda: now)
    small = Part(quota, 10)
    Part(quota, 20)
    assert not quota.reclaim(0)
    now += PATIENCE
    young = Part(quota, 30)
    assert quota.reclaim(20)
    assert quota.large_frames == {small, young}
    assert not quota.reclaim(20), "it has less than the one that asks"
    assert quota.reclaim(10)
    assert quota.large_frames == {young}
