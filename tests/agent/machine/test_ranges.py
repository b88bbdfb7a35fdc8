# SPDX-License-Identifier: Apache-2.0
"""Ranges, compared with a set of numbers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kata_agent.machine.ranges import Ranges, add_range

RANGE = st.tuples(st.integers(0, 40), st.integers(0, 10))


@given(st.lists(RANGE))
def test_ranges_behave_like_a_set_of_numbers(additions: list[tuple[int, int]]) -> None:
    ranges: Ranges = []
    numbers: set[int] = set()
    for start, length in additions:
        ranges = add_range(ranges, start, start + length)
        numbers |= set(range(start, start + length))
    assert {n for start, end in ranges for n in range(start, end)} == numbers
    # The ranges are in order, and no two touch.
    edges = [edge for pair in ranges for edge in pair]
    assert all(a < b for a, b in itertools.pairwise(edges))
