# SPDX-License-Identifier: Apache-2.0
"""Key-value pairs that are sent with a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Pairs: TypeAlias = Iterable[tuple[str, str]]
"""Keys and their values, in the order sent."""
MetadataLike: TypeAlias = Mapping[str, str] | Pairs
"""Metadata as a caller may write it."""


class Metadata:
    """Pairs in the order sent. A key may repeat; keys are converted to lower case.

    Lower case is the form that all peers read: Go's accessors convert the key that they
    look for but not the keys that were received, and ttrpc-rust converts none.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: MetadataLike = ()) -> None:
        if isinstance(pairs, Mapping):
            pairs = pairs.items()
        self._pairs = [(key.lower(), value) for key, value in pairs]

    def get(self, key: str, default: str | None = None) -> str | None:
        """Return the first value of `key`, or `default` if it has none."""
        key = key.lower()
        return next((v for k, v in self._pairs if k == key), default)

    def get_all(self, key: str) -> list[str]:
        """Return every value of `key`, in the order sent."""
        key = key.lower()
        return [v for k, v in self._pairs if k == key]

    def add(self, key: str, value: str) -> None:
        """Add one more value of `key`."""
        self._pairs.append((key.lower(), value))

    def set(self, key: str, *values: str) -> None:
        """Replace the values of `key`; with no values, remove it."""
        key = key.lower()
        self._pairs = [pair for pair in self._pairs if pair[0] != key]
        self._pairs.extend((key, value) for value in values)

    def copy(self) -> Metadata:
        """Return a copy that can be changed by itself."""
        copied = Metadata()
        copied._pairs = self._pairs.copy()
        return copied

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metadata) and self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        # The keys only, because values may be credentials.
        return f"Metadata({sorted({key for key, _ in self._pairs})})"
