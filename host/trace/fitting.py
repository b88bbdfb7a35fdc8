# SPDX-License-Identifier: Apache-2.0
"""The tree of a trace for a terminal without Unicode, as under `LC_ALL=C`."""

from __future__ import annotations

from typing import Final

_ASCII: Final = str.maketrans(
    {"├": "|", "└": "`", "│": "|", "─": "-", "━": "=", "µ": "u", "…": "~"}
)


def fitting(text: str, encoding: str | None) -> str:
    """Return `text` with other signs in place of those that `encoding` lacks."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(_ASCII)
    return text
