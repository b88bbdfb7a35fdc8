# SPDX-License-Identifier: Apache-2.0
"""Text of others, such as values of a request and output of programs, in one line.

Every error that a caller gets and every value of a long log line passes through here,
so that a request of a MiB, or a runtime's log, comes back as a few KiB.
"""

from __future__ import annotations

from typing import Final

ERROR_LIMIT: Final = 4096
"""Characters of the text of an error."""


def excerpt(text: str, limit: int = ERROR_LIMIT) -> str:
    """Return `text` in one line of at most `limit` characters.

    Characters that cannot be printed, line breaks among them, are escaped as in `repr`.
    Of a longer text the beginning and the end are kept, with a note of its length
    between them.
    """
    if len(text) <= limit:
        line = _escape(text)
        if len(line) <= limit:
            return line
    note = f" [... of {len(text)} characters ...] "
    kept = max(0, limit - len(note))
    end = kept // 2
    start = kept - end
    return _escape(text[:start])[:start] + note + _escape(text[-end:])[-end:]


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text
    )
