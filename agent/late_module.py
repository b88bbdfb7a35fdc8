# SPDX-License-Identifier: Apache-2.0
"""A module that is imported when the first of its names is looked up.

Some modules of the standard library are imported by modules that the agent needs, and
used by functions of these that it hardly ever calls. The `LazyLoader` of
`importlib.util` does the same, but two threads that meet there find the module half
made (Python 3.11).
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any


class LateModule(types.ModuleType):
    """Stands for a module in `sys.modules` until that is needed."""

    @classmethod
    def install(cls, name: str) -> None:
        """Put off the import of a top-level module, unless it is there already."""
        sys.modules.setdefault(name, cls(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # The import system asks, and importing is what is put off.
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        # Waits while another thread imports it.
        return getattr(importlib.import_module(self.__name__), name)
