# SPDX-License-Identifier: Apache-2.0
"""Tables on standard output, for people, and the option for the other form."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def add_format_option(parser: argparse._ActionsContainer) -> None:
    """Add `--format`: a table, or a JSON object a line."""
    parser.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="a table, or a JSON object for each, one a line (default: %(default)s)",
    )


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of printable text, the first the header, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
