# SPDX-License-Identifier: Apache-2.0
"""A guest's text, bounded and safe to show."""

from __future__ import annotations

from typing import Final

from kata_host.printable import printable

MAX_TEXT: Final = 60
"""Characters of a name or a value that a line shows."""


def shorten(text: str, length: int = MAX_TEXT) -> str:
    """Return text without control characters, at most `length` characters of it."""
    if len(text) > length:
        text = text[: length - 1] + "…"
    return printable(text)
