# SPDX-License-Identifier: Apache-2.0
"""Reads the Markdown tables that the benchmarks print, and the figures in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?")
_ASIDE: Final = re.compile(r"\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    title: str
    """The heading above it; empty without one."""
    header: list[str]
    rows: list[list[str]]

    @property
    def name_width(self) -> int:
        """How many of the first cells of a row tell it from all other rows."""
        for width in range(1, len(self.header) - 1):
            if len({tuple(row[:width]) for row in self.rows}) == len(self.rows):
                return width
        return len(self.header) - 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a cell."""

    text: str
    """As the table has it, such as `10,415`."""
    unit: str
    """The words behind it, such as `ms` or `times bare`."""

    @property
    def value(self) -> float:
        return float(self.text.replace(",", ""))


def read_tables(text: str) -> list[Table]:
    """Return the tables of a Markdown text, in their order."""
    tables: list[Table] = []
    title = ""
    lines: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
            continue
        if len(lines) > 1:
            # The second line divides the header from the rows.
            tables.append(Table(title, lines[0], lines[2:]))
        lines = []
        if line.startswith("#"):
            title = line.lstrip("# ")
    return tables


def figures_of(cell: str) -> list[Figure]:
    """Return the numbers in a cell, without those in parentheses."""
    text = _ASIDE.sub("", cell.replace("*", ""))
    numbers = _NUMBER.findall(text)
    # What is before the first number is no unit.
    _, *units = _NUMBER.split(text)
    return [
        Figure(number, unit.strip(" ,"))
        for number, unit in zip(numbers, units, strict=True)
    ]
