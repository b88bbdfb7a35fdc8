# SPDX-License-Identifier: Apache-2.0
"""The bytes that one side may hold for all its peers together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Quota:
    """A limit and how much of it is used; each peer has a `Share`."""

    limit: int
    """Bytes."""
    used: int = 0
    """The sum of the shares' sizes."""
