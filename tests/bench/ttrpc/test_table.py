# SPDX-License-Identifier: Apache-2.0
"""Shares of other peers' rates, and which of them miss a goal."""

from __future__ import annotations

import pytest

from bench.ttrpc import table
from bench.ttrpc.cells import Cell, Comparison, Sample
from bench.ttrpc.peers import FLOOR, GRPCLIB, OURS, RUST


def row(cell: Cell, **shares: float) -> Comparison:
    """Return a comparison in which we make 1,000 calls a second."""
    others = {side: Sample(1000 / share, None, None) for side, share in shares.items()}
    return Comparison(cell, {**others, OURS: Sample(1000, None, None)}, shares, {})


def test_a_row_has_the_rates_and_our_shares() -> None:
    rows = [row(Cell("unary", 4096, 1), **{FLOOR: 0.8, RUST: 1.25})]
    assert table.shares(rows).splitlines() == [
        "| mode | size | in flight | floor/s | ttrpc-rust/s | ours/s | ours/floor "
        "| ours/ttrpc-rust |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| unary | 4 KiB | 1 | 1,250 | 800 | 1,000 | 0.80 | 1.25 |",
    ]


def test_a_peer_that_is_left_out_has_no_column() -> None:
    header = table.shares([row(Cell("unary", 0, 1), floor=0.8)]).splitlines()[0]
    assert RUST not in header


def test_no_cell_is_said_so() -> None:
    assert table.shares([]) == "No cell was measured."


@pytest.mark.parametrize(
    ("cell", "side", "goal"),
    [
        (Cell("unary", 0, 1), FLOOR, 0.7),
        (Cell("bidi", 1 << 20, 64), FLOOR, 0.9),
        (Cell("bidi", 64, 8), FLOOR, None),
        (Cell("upload", 64, 1), FLOOR, None),
        (Cell("upload", 64, 1), RUST, 1.0),
        (Cell("unary", 64, 8), RUST, 1.0),
        (Cell("unary", 64, 1), GRPCLIB, None),
    ],
)
def test_goals(cell: Cell, side: str, goal: float | None) -> None:
    assert table.share_goal(side, cell) == goal


@pytest.mark.parametrize(
    ("in_flight", "share", "text"),
    [
        (1, 0.69, "**0.69**"),
        (1, 0.7, " 0.70 "),
        (8, 0.1, " 0.10 "),
        (64, 0.89, "**0.89**"),
        (64, 0.9, " 0.90 "),
    ],
)
def test_a_missed_goal_is_bold(in_flight: int, share: float, text: str) -> None:
    assert text in table.shares([row(Cell("unary", 0, in_flight), floor=share)])


def test_reached_counts_only_cells_with_a_goal() -> None:
    rows = [
        row(Cell("unary", 0, 1), **{FLOOR: 0.8, RUST: 0.9}),
        row(Cell("unary", 0, 8), **{FLOOR: 0.1, RUST: 1.0}),
        row(Cell("unary", 0, 64), **{FLOOR: 0.8, RUST: 2.0}),
    ]
    assert table.reached(rows) == [
        "floor: 1 of 2 cells reach the goal.",
        "ttrpc-rust: 2 of 3 cells reach the goal.",
    ]


def test_reached_says_nothing_of_peers_without_a_goal() -> None:
    assert table.reached([row(Cell("unary", 0, 1), grpclib=4.0)]) == []
