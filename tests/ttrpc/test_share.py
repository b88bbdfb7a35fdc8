# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ttrpc.quota import Quota
from ttrpc.share import GUARANTEED, GUARANTEED_PART, Share


def test_one_alone_may_have_its_limit_and_no_more() -> None:
    share = Share(Quota(1000), 100)
    assert share.take(100)
    assert share.take(1), "it was not over yet"
    assert not share.take(1)
    assert share.size == 101


def test_bytes_given_back_can_be_taken_again() -> None:
    share = Share(Quota(1000), 10)
    assert share.take(20)
    share.give_back(15)
    assert share.size == 5
    assert share.take(1)


def test_busy_peers_leave_room_for_new_ones() -> None:
    quota = Quota(1000)
    greedy = [Share(quota, 1000) for _ in range(9)]
    while any([share.take(1) for share in greedy]):
        pass
    late = Share(quota, 1000)
    assert sum(late.take(1) for _ in range(50)) == 50


def test_a_peer_that_holds_little_gets_room_in_any_case() -> None:
    quota = Quota(GUARANTEED * GUARANTEED_PART)
    Share(quota, 2 * quota.limit).resize(quota.limit + 1)
    late = Share(quota, quota.limit)
    assert late.take(GUARANTEED - 1)
    assert late.take(1)
    assert not late.take(1)
    limited = Share(quota, 10)
    assert limited.take(10)
    assert not limited.take(1)


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-50, 50)), max_size=200),
)
def test_all_together_stay_below_the_limit(
    limit: int, steps: list[tuple[int, int]]
) -> None:
    """Over the limit by one step at most, whichever share grows."""
    quota = Quota(limit)
    shares = [Share(quota, 500) for _ in range(5)]
    for number, step in steps:
        share = shares[number]
        if step < 0:
            share.give_back(min(-step, share.size))
        else:
            share.take(step)
        assert quota.used == sum(share.size for share in shares)
        assert quota.used <= limit + 50 + len(shares) * (limit // GUARANTEED_PART)
