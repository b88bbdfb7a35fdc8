# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.ttrpc.cells import Cell, Comparison
from bench.ttrpc.memory import Cost
from bench.ttrpc.peers import GO, OURS


def comparisons(rows: Sequence[Comparison], bar: float, p99_bar: float | None) -> str:
    """Return one row for each cell; figures that miss a bar are bold."""
    header = ["mode", "size", "in flight", "Go/s", "ours/s", "ours/Go"]
    header += ["Go p99 µs", "ours p99 µs", "ours/Go p99"]
    return _table(header, (_row(row, bar, p99_bar) for row in rows))


def costs(rows: Iterable[Cost]) -> str:
    cells = ([row.what, _bytes(row.each[GO]), _bytes(row.each[OURS])] for row in rows)
    return _table(["resident memory", "Go, each", "ours, each"], cells)


def _row(row: Comparison, bar: float, p99_bar: float | None) -> list[str]:
    go, ours = row.sides[GO], row.sides[OURS]
    p99 = row.p99_ratio
    p99_text = "" if p99 is None else f"{p99:.2f}"
    return [
        row.cell.mode,
        _size(row.cell),
        str(row.cell.in_flight),
        f"{go.rate:,.0f}",
        f"{ours.rate:,.0f}",
        _bold(f"{row.rate_ratio:.2f}", row.rate_ratio < bar),
        f"{go.p99:,.0f}" if go.p99 else "",
        f"{ours.p99:,.0f}" if ours.p99 else "",
        _bold(p99_text, p99 is not None and p99_bar is not None and p99 > p99_bar),
    ]


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
