# SPDX-License-Identifier: Apache-2.0
"""Writes a benchmark's figures into its section of `bench/README.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

README: Final = Path(__file__).with_name("README.md")


def replace_section(name: str, text: str) -> None:
    """Put `text` between `<!-- name: ... -->` and `<!-- /name -->`."""
    readme = README.read_text()
    start = readme.index("-->", readme.index(f"<!-- {name}:")) + len("-->")
    end = readme.index(f"<!-- /{name} -->")
    README.write_text(f"{readme[:start]}\n\n{text}\n\n{readme[end:]}")
