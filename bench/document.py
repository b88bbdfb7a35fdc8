# SPDX-License-Identifier: Apache-2.0
"""Writes a benchmark's figures into its section of `bench/README.md`, and of the page
that compares ttrpc with other libraries, and draws its chart.

`python -m bench.document` copies that page's figures from `bench/README.md`, and draws
all charts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bench.charts import FOLDER, redraw

README: Final = Path(__file__).with_name("README.md")
CHARTS: Final = FOLDER
COMPARISON: Final = README.parents[1] / "docs" / "ttrpc" / "comparison.md"
COMPARED: Final = (
    "ttrpc-shares",
    "ttrpc-bare",
    "ttrpc-pairs",
    "ttrpc-server",
    "ttrpc-client",
    "ttrpc-agent",
    "ttrpc-memory",
)
"""The sections that both pages have."""


def replace_section(name: str, text: str) -> None:
    """Put `text` between `<!-- name: ... -->` and `<!-- /name -->`."""
    for page in (README, COMPARISON) if name in COMPARED else (README,):
        _write(page, name, text)
    redraw(name, text, CHARTS)


def sections(page: Path) -> list[str]:
    """Return the names of a page's sections."""
    return re.findall(r"^<!-- /(\S+) -->$", page.read_text(), re.MULTILINE)


def section(page: Path, name: str) -> str:
    """Return the text between the two marks."""
    return _split(page, name)[1].strip()


def _write(page: Path, name: str, text: str) -> None:
    before, _, after = _split(page, name)
    page.write_text("\n\n".join(filter(None, (before, text, after))))


def _split(page: Path, name: str) -> tuple[str, str, str]:
    text = page.read_text()
    start = text.index("-->", text.index(f"<!-- {name}:")) + len("-->")
    end = text.index(f"<!-- /{name} -->")
    return text[:start], text[start:end], text[end:]


if __name__ == "__main__":
    for name in COMPARED:
        _write(COMPARISON, name, section(README, name))
    for name in sections(README):
        redraw(name, section(README, name), CHARTS)
