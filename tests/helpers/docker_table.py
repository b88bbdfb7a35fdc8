# SPDX-License-Identifier: Apache-2.0
"""The table of docs/how-to/from-docker.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.helpers.source_tree import ROOT


@dataclass(frozen=True, slots=True)
class Row:
    """What docker has, what podman and nerdctl have, what we have, and its tests."""

    docker: Sequence[str]
    """The words in its first cell."""
    others: str
    ours: Sequence[str]
    """The words in our cell."""
    is_absent: bool
    tests: Sequence[str]


def _read() -> Sequence[Row]:
    page = (ROOT / "docs/how-to/from-docker.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [
        Row(
            _words(docker),
            others,
            _words(ours),
            ours.startswith("absent"),
            _words(tests),
        )
        for docker, others, ours, tests in cells
    ]


def _words(cell: str) -> Sequence[str]:
    return re.findall("`([^`]+)`", cell)


ROWS: Final = _read()
