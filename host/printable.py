# SPDX-License-Identifier: Apache-2.0
"""Text of a guest, made safe for the user's terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return `text` with every control character as an escape sequence of Python.

    A guest is not trusted: control characters could move the cursor, retitle the
    window or forge lines of output. A byte that is not UTF-8 is shown as that byte.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    # Python keeps such bytes of names as these surrogates (PEP 383).
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
