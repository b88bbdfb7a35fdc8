# SPDX-License-Identifier: Apache-2.0
"""Counts, sizes and durations as people write them: `3`, `512m`, `1m30s`.

Every option and every parameter that takes one of them reads it here.
"""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d{1,20}(?:\.\d{1,20})?) ?([kmgtp]?)(?:i?b)?", re.I)
_POWERS: Final = {letter: 10 * power for power, letter in enumerate(" kmgtp")}
"""Of two, as `docker --memory` has them: `1k` is 1024 bytes."""
_NUMBER: Final = re.compile(r"\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}")
_PART: Final = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIMIT: Final = 2**31
"""Counts and seconds are less: a C int, and what every wait of Python takes."""
_SIZE_LIMIT: Final = 2**63


def parse_count(text: str) -> int:
    """Return a number of things that are needed: 1 or more. Raises `ValueError`."""
    if not re.fullmatch(r"[0-9]{1,20}", text) or not 0 < int(text) < _LIMIT:
        raise ValueError(f"number {text!r}: not a whole number of 1 or more")
    return int(text)


def parse_size(text: str, *, unit: str = "") -> int:
    """Return a number of bytes: `4096`, `64k`, `512m`, `1.5GiB`.

    `unit` is the letter of a number without one. Raises `ValueError`.
    """
    found = _SIZE.fullmatch(text)
    if found is not None and text.isascii():
        whole, _, rest = found[1].partition(".")
        factor = 1 << _POWERS[found[2].lower() or _unit(text, unit)]
        # In whole numbers, because a float has 53 bits.
        parts: int = 10 ** len(rest)
        size = int(whole) * factor + int(rest or "0") * factor // parts
        if size < _SIZE_LIMIT:
            return size
    raise ValueError(f"size {text!r}: not a number of bytes, such as 4096, 512m or 2g")


def to_size(value: int | str) -> int:
    """Return a number of bytes, of which a text is read by `parse_size`.

    Raises `ValueError`.
    """
    if isinstance(value, str):
        return parse_size(value)
    if not 0 <= value < _SIZE_LIMIT:
        raise ValueError(f"size {value!r}: not a number of bytes")
    return value


def to_duration(value: float | str) -> float:
    """Return a number of seconds, of which a text is read by `parse_duration`.

    Raises `ValueError`.
    """
    return parse_duration(value) if isinstance(value, str) else value


def _unit(text: str, unit: str) -> str:
    # "5b" has a unit, which is one byte.
    return unit if unit and text[-1:].isdigit() else " "


def parse_duration(text: str) -> float:
    """Return a number of seconds: `2`, `0.5`, `500ms`, `1m30s`. Raises `ValueError`."""
    seconds = None
    if text.isascii() and _NUMBER.fullmatch(text):
        seconds = float(text)
    elif text.isascii() and re.fullmatch(f"(?:{_PART.pattern})+", text):
        seconds = sum(
            float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)
        )
    if seconds is None or seconds >= _LIMIT:
        raise ValueError(f"duration {text!r}: not a time, such as 2s, 500ms or 1m30s")
    return seconds
