# SPDX-License-Identifier: Apache-2.0
"""An attacker that swaps two names as fast as it can, while a test uses one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_LIBC = ctypes.CDLL(None)


class Swaps:
    """How often the names have been swapped so far."""

    def __init__(self) -> None:
        self.count = 0


def exchange(first: Path, second: Path) -> bool:
    """Rename each to the other's name at once; tell whether both were there.

    man 2 renameat2
    """
    at_cwd, rename_exchange = -100, 2
    names = os.fsencode(first), os.fsencode(second)
    result: int = _LIBC.renameat2(at_cwd, names[0], at_cwd, names[1], rename_exchange)
    return result == 0


@contextlib.contextmanager
def swapping(first: Path, second: Path) -> Iterator[Swaps]:
    """Exchange two names in a thread of its own, until the block ends."""
    stop = threading.Event()
    swaps = Swaps()

    def swap() -> None:
        while not stop.is_set():
            swaps.count += exchange(first, second)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        yield swaps
    finally:
        stop.set()
        attacker.join()
