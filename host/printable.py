# SPDX-License-Identifier: Apache-2.0
"""Text of a guest, made safe for the user's terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` with every control character as an escape sequence of Python.

    A guest is not trusted: control characters could move the cursor, retitle the
    window or forge lines of output.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
