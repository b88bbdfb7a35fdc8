# SPDX-License-Identifier: Apache-2.0
"""Draws columns of a table as bars, in SVG.

A chart has a background of its own, and another one for readers with a dark theme. The
colours are Okabe and Ito's, which colour-blind readers tell apart; each bar has its
number beside it, and the bars of a row are in the order of the legend. The same table
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.tables import Figure, Table, figures_of

COLOURS: Final = ("#999999", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
OURS: Final = "#0072b2"
"""The last column is ours, or the new one."""
WIDTH: Final = 760
LABELS: Final = 230
"""Pixels for the names of rows."""
NUMBERS: Final = 90
"""Pixels for the numbers behind the longest bar."""
BAR: Final = 13
GAP: Final = 11
"""Pixels between rows."""
LETTER: Final = 7.2
"""Pixels that a letter of the legend takes, or a little less."""

STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #1b1b1b }
.paper { fill: #ffffff }
.bar { stroke: #1b1b1b; stroke-width: 0.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e8e8e8 }
  .paper { fill: #20222a }
  .bar { stroke: #e8e8e8 }
}
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """Which columns of a table to draw."""

    title: str
    columns: Sequence[str]
    """Their headers. With several, the bars of each row have a scale of their own."""


def draw(chart: Chart, table: Table) -> str:
    """Return the chart of a table. Raises `ValueError` if it lacks a column."""
    places = [table.header.index(column) for column in chart.columns]
    colours = [*COLOURS[: len(places) - 1], OURS]
    rows = [
        (_name(table, row), [_figure(row[place]) for place in places])
        for row in table.rows
    ]
    rows = [(name, figures) for name, figures in rows if any(figures)]
    parts = [_text(12, 22, chart.title, bold=True)]
    top = 34
    if len(places) > 1:
        parts += _legend(chart.columns, colours)
        top += 24
    longest = max(_value(figure) for _, figures in rows for figure in figures)
    for name, figures in rows:
        scale = max(map(_value, figures)) if len(figures) > 1 else longest
        height = BAR * len(figures)
        parts.append(_text(12, top + height / 2 + 4, name))
        for figure, colour in zip(figures, colours, strict=True):
            if figure is not None:
                parts += _bar(top, figure, figure.value / (scale or 1), colour)
            top += BAR
        top += GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}"'
            f' width="{WIDTH}" height="{top}" role="img">',
            f"<title>{escape(chart.title)}</title>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{top}" rx="6"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _name(table: Table, row: Sequence[str]) -> str:
    return ", ".join(filter(None, row[: table.name_width])).translate(
        {ord(mark): None for mark in "`*"}
    )


def _figure(cell: str) -> Figure | None:
    return next(iter(figures_of(cell)), None)


def _value(figure: Figure | None) -> float:
    return 0.0 if figure is None else figure.value


def _bar(top: int, figure: Figure, share: float, colour: str) -> list[str]:
    length = share * (WIDTH - LABELS - NUMBERS)
    shown = " ".join(filter(None, (figure.text, figure.unit)))
    return [
        f'<rect class="bar" x="{LABELS}" y="{top}" width="{length:.1f}"'
        f' height="{BAR - 2}" fill="{colour}"/>',
        _text(LABELS + length + 6, top + BAR - 3, shown),
    ]


def _legend(columns: Sequence[str], colours: Sequence[str]) -> list[str]:
    parts: list[str] = []
    left = 12.0
    for column, colour in zip(columns, colours, strict=True):
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="34" width="11" height="11"'
            f' fill="{colour}"/>'
        )
        parts.append(_text(left + 16, 44, column))
        left += 34 + LETTER * len(column)
    return parts


def _text(left: float, bottom: float, words: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{left:.1f}" y="{bottom:.1f}"{weight}>{escape(words)}</text>'
