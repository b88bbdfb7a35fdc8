# SPDX-License-Identifier: Apache-2.0
"""Imports of libraries that would not work, or would cost much, without a change.

Each function imports one library and changes, for this process, the one thing that
does not fit a guest. No other module patches anything.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final

SHARED_LIBRARIES: Final = {"udev": "libudev.so.1"}
"""The names that the dynamic linker knows them by."""


def import_pyudev() -> Any:
    """Return the module `pyudev`.

    pyudev loads libudev by `ctypes.util.find_library`, which runs ldconfig, gcc or
    objdump to find it; a guest has none of them.
    """
    import pyudev
    from pyudev._ctypeslib import utils

    utils.find_library = lambda name: SHARED_LIBRARIES[name]
    return pyudev


def import_prometheus_client() -> tuple[Any, Any]:
    """Return `generate_latest` and `Metric` of prometheus_client.

    prometheus_client imports `ssl` for servers and clients that the agent never starts,
    and the agent never loads OpenSSL (`kata_agent.__main__`, 4 MiB). If `ssl` cannot be
    imported for that reason, a module of empty names stands in for it during the
    import: the library needs no more for its annotations.
    """
    is_blocked = sys.modules.get("ssl", ModuleType) is None
    if is_blocked:
        stand_in = ModuleType("ssl")
        stand_in.__getattr__ = lambda name: object  # type: ignore[method-assign]  # PEP 562
        sys.modules["ssl"] = stand_in
    try:
        from prometheus_client import generate_latest
        from prometheus_client.metrics_core import Metric
    finally:
        if is_blocked:
            # None makes a later `import ssl` fail again.
            sys.modules["ssl"] = None  # type: ignore[assignment]  # importlib's marker
    return generate_latest, Metric
