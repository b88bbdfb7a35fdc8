# SPDX-License-Identifier: Apache-2.0
"""The text of an error for the user of a program."""

from __future__ import annotations

import os


def explain(error: BaseException) -> str:
    """Return the line that says what went wrong: the object first, then the fault."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        return error.strerror if name is None else f"{_text(name)}: {error.strerror}"
    return str(error) or type(error).__name__


def _text(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)
