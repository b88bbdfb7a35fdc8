# SPDX-License-Identifier: Apache-2.0
"""Numbers, booleans and durations in the grammar of Go, as Kata's agents read them.

Each function returns the value of a text, or raises `ValueError` that names the fault.
"""

from __future__ import annotations

import re
from typing import Final

TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

MAX_UINT32: Final = 2**32 - 1
MAX_INT64: Final = 2**63 - 1

NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = re.compile(
    r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
)


def parse_bool(text: str) -> bool:
    """Read a boolean as strconv.ParseBool: `1 t T TRUE true True` and `0 f F ...`."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError("not a boolean")


def parse_uint32(text: str) -> int:
    """Read a number as strconv.ParseUint does in base 10 and 32 bits: only digits."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("not an unsigned decimal number")
    # The length is checked first, because int() of a long text takes quadratic time.
    if len(text.lstrip("0")) > 10 or int(text) > MAX_UINT32:
        raise ValueError("more than 32 bits")
    return int(text)


def parse_duration(text: str) -> float:
    """Read seconds as time.ParseDuration: `10s`, `1m30s`, `1.5h`, `-5s`, `0`."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError("not a duration")
    nanoseconds = 0
    while rest:
        part = _PART.match(rest)
        if part is None or not (part["whole"] or part["fraction"]):
            raise ValueError("not a duration such as 10s, 1m30s or 500ms")
        nanoseconds += _part_nanoseconds(part)
        if nanoseconds > MAX_INT64:
            raise ValueError("a duration of more than 64 bits of nanoseconds")
        rest = rest[part.end() :]
    return sign * nanoseconds / 10**9


def parse_timeout(text: str) -> float:
    """Read seconds: a Go duration, or a whole number as in Kata 2.x and later."""
    if text.isascii() and text.isdigit():
        return float(parse_uint32(text))
    return parse_duration(text)


def _part_nanoseconds(part: re.Match[str]) -> int:
    unit = NANOSECONDS[part["unit"]]
    # Twenty digits are more than int64 holds, and a nanosecond is the ninth decimal.
    if len(part["whole"].lstrip("0")) > 20:
        return MAX_INT64 + 1
    fraction = (part["fraction"] or "")[:20]
    whole = int(part["whole"] or 0) * unit
    return whole + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
