# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bench.ttrpc.cells import PING_PONGS, Cell, Comparison
from bench.ttrpc.memory import Cost
from bench.ttrpc.peers import FLOOR, GO, OURS, RUST

FLOOR_GOALS: Final = {1: 0.7, 64: 0.9}
"""Shares of the floor's rate, by the number of ping-pongs in flight."""
RUST_GOAL: Final = 1.0


def comparisons(rows: Sequence[Comparison], bar: float, p99_bar: float | None) -> str:
    """Return one row for each cell; figures that miss a bar are bold."""
    header = ["mode", "size", "in flight", "Go/s", "ours/s", "ours/Go"]
    header += ["Go p99 µs", "ours p99 µs", "ours/Go p99"]
    return _table(header, (_row(row, bar, p99_bar) for row in rows))


def shares(rows: Sequence[Comparison]) -> str:
    """Return each side's rate and our share of it; shares that miss a goal are bold."""
    if not rows:
        return "No cell was measured."
    sides = list(rows[0].sides)
    others = [side for side in sides if side != OURS]
    header = ["mode", "size", "in flight", *(f"{side}/s" for side in sides)]
    header += [f"{OURS}/{side}" for side in others]
    return _table(header, (_shares_row(row, others) for row in rows))


def reached(rows: Sequence[Comparison]) -> list[str]:
    """Return a sentence for each side with a goal: in how many cells it is reached."""
    lines = []
    for side in (FLOOR, RUST):
        met = [
            row.rate_ratios[side] >= goal
            for row in rows
            if side in row.rate_ratios and (goal := share_goal(side, row.cell))
        ]
        if met:
            lines.append(f"{side}: {sum(met)} of {len(met)} cells reach the goal.")
    return lines


def share_goal(side: str, cell: Cell) -> float | None:
    """Return the share of a side's rate that we want in a cell; None without a goal."""
    if side == RUST:
        return RUST_GOAL
    if side == FLOOR and cell.mode in PING_PONGS:
        return FLOOR_GOALS.get(cell.in_flight)
    return None


def costs(rows: Iterable[Cost]) -> str:
    cells = ([row.what, _bytes(row.each[GO]), _bytes(row.each[OURS])] for row in rows)
    return _table(["resident memory", "Go, each", "ours, each"], cells)


def _row(row: Comparison, bar: float, p99_bar: float | None) -> list[str]:
    go, ours = row.sides[GO], row.sides[OURS]
    rate, p99 = row.rate_ratios[GO], row.p99_ratios.get(GO)
    p99_text = "" if p99 is None else f"{p99:.2f}"
    return [
        row.cell.mode,
        _size(row.cell),
        str(row.cell.in_flight),
        f"{go.rate:,.0f}",
        f"{ours.rate:,.0f}",
        _bold(f"{rate:.2f}", rate < bar),
        f"{go.p99:,.0f}" if go.p99 else "",
        f"{ours.p99:,.0f}" if ours.p99 else "",
        _bold(p99_text, p99 is not None and p99_bar is not None and p99 > p99_bar),
    ]


def _shares_row(row: Comparison, others: Sequence[str]) -> list[str]:
    rates = [f"{sample.rate:,.0f}" for sample in row.sides.values()]
    ratios = []
    for side in others:
        ratio, goal = row.rate_ratios[side], share_goal(side, row.cell)
        ratios.append(_bold(f"{ratio:.2f}", goal is not None and ratio < goal))
    cell = row.cell
    return [cell.mode, _size(cell), str(cell.in_flight), *rates, *ratios]


def _bold(text: str, condition: bool) -> str:
    return f"**{text}**" if condition else text


def _size(cell: Cell) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if cell.size >= size:
            return f"{cell.size // size} {unit}"
    return f"{cell.size} B"


def _bytes(size: float) -> str:
    return f"{size / 1024:.1f} KiB"


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
