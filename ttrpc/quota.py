# SPDX-License-Identifier: Apache-2.0
"""The bytes that one side may hold for all its peers together."""

from __future__ import annotations


class Quota:
    """A limit and how much of it is used; each peer has a `Share`."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes."""
        self.used = 0
        """The sum of the shares' sizes."""
