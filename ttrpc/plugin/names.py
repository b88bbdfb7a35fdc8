# SPDX-License-Identifier: Apache-2.0
"""Names in a generated file, each given once."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """The names of one scope that are taken."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def give(self, *wanted: str) -> str:
        """Take the first of `wanted` that is free, or the last with `_` behind it.

        Python mangles names in classes that begin with two underscores, so these
        lose all that they begin with.
        """
        names = [it.lstrip("_") or "_" if it.startswith("__") else it for it in wanted]
        name = next((it for it in names if it not in self._taken), names[-1])
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
