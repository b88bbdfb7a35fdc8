# SPDX-License-Identifier: Apache-2.0
"""The files of a new cgroup: the limits that this kernel, with its options, has."""

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


class SupportedFiles:
    """Makes a cgroup and lists its files, once for each hierarchy.

    The root of a hierarchy has other files than its children, and a controller may be
    built without some of its files. So only a child tells.
    """

    def __init__(self, root: Path) -> None:
        """`root` is `/sys/fs/cgroup`."""
        self.unified: Final = is_unified(root)
        """Whether it is version 2, with one hierarchy."""
        self._root = root
        self._found: dict[str, Set[str]] = {}

    def has(self, file: str) -> bool:
        """Tell whether a new cgroup has `file`; in version 1 it is `CONTROLLER/FILE`.

        May block. Raises `OSError` if no cgroup can be made.
        """
        controller, _, name = file.rpartition("/")
        if controller not in self._found:
            self._found[controller] = self._list_child(self._root / controller)
        return name in self._found[controller]

    def _list_child(self, hierarchy: Path) -> Set[str]:
        if self.unified:
            self._enable_controllers()
        child = hierarchy / f".agent-{os.getpid()}-{next(_numbers)}"
        try:
            child.mkdir()
        except FileNotFoundError:
            # There is no such controller, or no such hierarchy.
            return frozenset()
        try:
            return frozenset(os.listdir(child))
        finally:
            child.rmdir()

    def _enable_controllers(self) -> None:
        """Let children have every controller, as the runtime will do.

        A guest's init may have left some disabled. A controller that cannot be enabled
        (`cpu` while real-time processes run, for example) counts as missing.
        """
        for controller in (self._root / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                write(self._root / "cgroup.subtree_control", f"+{controller}")
