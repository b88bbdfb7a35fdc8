# SPDX-License-Identifier: Apache-2.0
"""The kernel's pools of huge pages, one for each size of pages.

Kernel: admin-guide/mm/hugetlbpage.rst.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo


@dataclass(slots=True)
class _Pool:
    """The pages of one size."""

    file: Path
    wanted: int = 0
    """The sum of the pages of all volumes."""
    added: int = 0
    """The pages by which the volumes have made the pool larger."""

    def read(self) -> int:
        return int(self.file.read_text())

    def write(self, pages: int) -> None:
        self.file.write_text(str(pages))


class HugePages:
    """Sets huge pages aside for volumes. Blocks."""

    def __init__(self, paths: SystemPaths) -> None:
        self._directory = paths.sys / "kernel/mm/hugepages"
        self._lock = threading.Lock()
        self._pools: dict[int, _Pool] = {}

    def reserve(self, undo: Undo, page_size: int, size: int) -> None:
        """Set aside `size` bytes in pages of `page_size` bytes.

        The pool holds the sum of all volumes. The pages that were there before the
        first volume are used, and stay. Raises `InvalidArgument` if the kernel has no
        pages of that size, `Internal` if it cannot set aside so many.
        """
        pages = size // page_size
        with self._lock:
            pool = self._pool(page_size)
            pool.wanted += pages
            undo.callback(self._give_back, pool, pages)
            _grow(pool, page_size)

    def _pool(self, page_size: int) -> _Pool:
        file = self._directory / f"hugepages-{page_size >> 10}kB/nr_hugepages"
        if not file.exists():
            raise InvalidArgument(f"huge pages: no pages of {page_size} bytes")
        return self._pools.setdefault(page_size, _Pool(file))

    def _give_back(self, pool: _Pool, pages: int) -> None:
        with self._lock:
            _release(pool, pages)


def _grow(pool: _Pool, page_size: int) -> None:
    before = pool.read()
    if before >= pool.wanted:
        return
    pool.write(pool.wanted)
    got = pool.read()
    pool.added += max(0, got - before)
    if got < pool.wanted:
        raise Internal(
            f"huge pages: got {got} of {pool.wanted} pages of {page_size} bytes"
        )


def _release(pool: _Pool, pages: int) -> None:
    """Take the pages of one volume out of a pool."""
    wanted = pool.wanted - pages
    now = pool.read()
    surplus = min(pool.added, now - wanted)
    if surplus > 0:
        pool.write(now - surplus)
        pool.added -= surplus
    # Last, because a release that fails is tried again.
    pool.wanted = wanted
