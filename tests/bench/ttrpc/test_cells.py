# SPDX-License-Identifier: Apache-2.0
"""Comparing any number of sides."""

from __future__ import annotations

from bench.ttrpc.cells import Cell, Sample, compare
from bench.ttrpc.peers import FLOOR, OURS, RUST

SIDES = (FLOOR, RUST, OURS)
RATES = {FLOOR: 400.0, RUST: 100.0, OURS: 200.0}


def test_ratios_are_ours_to_each_other_side() -> None:
    def load(side: str, cell: Cell, count: int) -> Sample:
        return Sample(RATES[side], None, 10 / RATES[side] if side != RUST else None)

    result = compare(Cell("unary", 0), load, SIDES, rounds=3, seconds=1)
    assert list(result.sides) == list(SIDES)
    assert result.rate_ratios == {FLOOR: 0.5, RUST: 2.0}
    assert result.p99_ratios == {FLOOR: 2.0}


def test_every_round_loads_all_sides_in_the_other_order() -> None:
    loaded: list[tuple[str, int]] = []

    def load(side: str, cell: Cell, count: int) -> Sample:
        loaded.append((side, count))
        return Sample(RATES[side], None, None)

    compare(Cell("unary", 0), load, SIDES, rounds=2, seconds=3)
    # The slowest side determines how many calls all sides make.
    rounds = [(side, 300) for side in (*reversed(SIDES), *SIDES)]
    assert loaded[-len(rounds) :] == rounds


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine is slow is slow for all sides."""
    slowness = iter([1, 1, 1, 1, 8, 8, 4, 4])

    def load(side: str, cell: Cell, count: int) -> Sample:
        return Sample(RATES[side] / next(slowness, 1), None, None)

    result = compare(Cell("unary", 0), load, (FLOOR, OURS), rounds=3, seconds=0.1)
    assert result.rate_ratios == {FLOOR: 0.5}
