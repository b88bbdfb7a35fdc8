# SPDX-License-Identifier: Apache-2.0
"""The guest's memory, as the regions that QEMU shares.

An address means bytes in two ways: the guest's own (descriptors) and QEMU's
(the rings). Nothing that the guest says is trusted: a range that does not lie
in one region raises `MemoryFault`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass


class MemoryFault(Exception):
    """The guest named memory that it does not have."""


@dataclass(frozen=True, slots=True)
class Region:
    """One mapped range; `view` is all of it."""

    guest_address: int
    user_address: int
    view: memoryview

    @classmethod
    def map(
        cls, guest_address: int, size: int, user_address: int, *, offset: int, fd: int
    ) -> Region:
        """Map `size` bytes of the memory file `fd` from `offset` on."""
        view = memoryview(mmap.mmap(fd, size, offset=offset))
        return cls(guest_address, user_address, view)


class GuestMemory:
    """Every region of one memory table; unmapped when the last view is gone."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self._regions = tuple(regions)

    def guest_range(self, address: int, length: int) -> memoryview:
        """Return the bytes at a guest physical address."""
        for region in self._regions:
            start = address - region.guest_address
            if 0 <= start and start + length <= len(region.view):
                return region.view[start : start + length]
        raise MemoryFault(f"guest memory: nothing at {address:#x}+{length:#x}")

    def user_range(self, address: int, length: int) -> memoryview:
        """Return the bytes at an address of QEMU's own."""
        for region in self._regions:
            start = address - region.user_address
            if 0 <= start and start + length <= len(region.view):
                return region.view[start : start + length]
        raise MemoryFault(f"guest memory: no ring at {address:#x}+{length:#x}")
