# SPDX-License-Identifier: Apache-2.0
"""The heaps of glibc's allocator in a process (glibc: malloc/arena.c)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final, NamedTuple

HEAP: Final = 64 << 20
"""Bytes that a heap reserves, at a multiple of that many."""


class Mapping(NamedTuple):
    begin: int
    end: int
    rights: str


def count_further_heaps(pid: int) -> int:
    """Return how many heaps the threads of a process have, besides its first one.

    Such a heap is a mapping in use, and then one without rights.
    """
    return sum(
        (used.begin % HEAP, used.rights) == (0, "rw-p")
        and rest == (used.end, used.begin + HEAP, "---p")
        for used, rest in itertools.pairwise(mappings(pid))
    )


def mappings(pid: int) -> list[Mapping]:
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, rights = line.split()[:2]
        begin, end = (int(address, 16) for address in addresses.split("-"))
        found.append(Mapping(begin, end, rights))
    return found
