# SPDX-License-Identifier: Apache-2.0
"""The values of a span's attributes, and their bounds.

The bounds keep every span smaller than a batch and the queue within its memory, even
if a caller puts long text into its ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Attribute: TypeAlias = str | bool | int | float | Sequence[str] | Sequence[int]
Attributes: TypeAlias = Mapping[str, Attribute]

MAX_ATTRIBUTES: Final = 32
MAX_TEXT: Final = 1024
"""Characters of a value."""


def bound_all(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    """Bound every value in place, and return the same mapping."""
    for key, value in attributes.items():
        if type(value) is str and (len(value) > MAX_TEXT or not value.isascii()):
            attributes[key] = bound(value)
    return attributes


def bound(value: Attribute) -> Attribute:
    """Return `value`; text is cut to `MAX_TEXT` and made valid UTF-8.

    A file name that is not UTF-8 holds surrogates, which protobuf refuses.
    """
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
    return value
