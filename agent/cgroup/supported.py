# SPDX-License-Identifier: Apache-2.0
"""Which files a new cgroup has here: what this kernel and its options can limit."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Set
from pathlib import Path
from typing import Final

from kata_agent.cgroup.files import write
from kata_agent.cgroup.open import is_unified

_numbers = itertools.count()


class ChildFiles:
    """Looks into a cgroup of its own, once for each hierarchy.

    Only a child tells: the root of a hierarchy has other files, and a controller
    may be built without some of its own.
    """

    def __init__(self, root: Path) -> None:
        """`root` is `/sys/fs/cgroup`."""
        self.unified: Final = is_unified(root)
        """Whether it is version 2, with one hierarchy."""
        self._root = root
        self._found: dict[str, Set[str]] = {}

    def has(self, file: str) -> bool:
        """Whether there is `file`, in version 1 `CONTROLLER/FILE`. May block."""
        controller, _, name = file.rpartition("/")
        if controller not in self._found:
            self._found[controller] = self._look(self._root / controller)
        return name in self._found[controller]

    def _look(self, hierarchy: Path) -> Set[str]:
        if self.unified:
            self._enable_controllers()
        child = hierarchy / f".agent-{os.getpid()}-{next(_numbers)}"
        try:
            child.mkdir()
        except FileNotFoundError:
            # No such controller, or no such hierarchy.
            return frozenset()
        try:
            return frozenset(os.listdir(child))
        finally:
            child.rmdir()

    def _enable_controllers(self) -> None:
        """Let children have every controller, as the runtime will.

        A guest's init may have left some to itself. One that cannot be given, while
        real-time processes use it for one, is one that there is not.
        """
        for controller in (self._root / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                write(self._root / "cgroup.subtree_control", f"+{controller}")
