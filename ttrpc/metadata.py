# SPDX-License-Identifier: Apache-2.0
"""Key-value pairs that are sent with a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TypeAlias

Pairs: TypeAlias = Iterable[tuple[str, str]]
"""Keys and their values, in the order sent."""
MetadataLike: TypeAlias = Mapping[str, str] | Pairs
"""Metadata as a caller may write it."""


class Metadata(MutableMapping[str, str]):
    """Keys and their values, in the order sent. A key may have several values.

    As a mapping it has the first value of each key; `get_all` and `pairs` have all.
    Keys are converted to lower case, the form that all peers read: Go's accessors
    convert the key that they look for but not the keys that were received, and
    ttrpc-rust converts none.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: MetadataLike = ()) -> None:
        """Copy a mapping, or pairs of a key and a value."""
        self._pairs = [(key.lower(), value) for key, value in pairs_of(pairs)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """A copy of all keys and values."""
        return self._pairs.copy()

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
        return Metadata(self._pairs)

    def __getitem__(self, key: str) -> str:
        key = key.lower()
        for k, value in self._pairs:
            if k == key:
                return value
        raise KeyError(key)

    def __setitem__(self, key: str, value: str) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.set(key)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Metadata):
            return self._pairs == other._pairs
        return super().__eq__(other)

    def __repr__(self) -> str:
        # The keys only, because values may be credentials.
        return f"Metadata({sorted(self)})"


def pairs_of(metadata: MetadataLike) -> Pairs:
    """Return all pairs of metadata as a caller may write it."""
    if isinstance(metadata, Metadata):
        return metadata.pairs
    return metadata.items() if isinstance(metadata, Mapping) else metadata
