# SPDX-License-Identifier: Apache-2.0
"""The guest's memory, as the regions that QEMU shares.

Two kinds of address name bytes in it: guest physical addresses (in descriptors) and
addresses of QEMU's process (of the rings). No address is trusted: a range that does not
lie in one region raises `MemoryFault`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass


class MemoryFault(Exception):
    """An address names memory that the guest does not have."""


@dataclass(frozen=True, slots=True)
class Region:
    """One mapped range of the guest's memory."""

    guest_address: int
    user_address: int
    """The address of the range in QEMU's process."""
    view: memoryview
    """All bytes of the range."""

    @classmethod
    def map(
        cls, guest_address: int, size: int, user_address: int, *, offset: int, fd: int
    ) -> Region:
        """Map `size` bytes of the memory file `fd` from `offset` on.

        Raises `OSError` or `ValueError` if the file has no such bytes.
        """
        view = memoryview(mmap.mmap(fd, size, offset=offset))
        return cls(guest_address, user_address, view)


class GuestMemory:
    """Every region of one memory table, mapped until the last view of it is gone."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self._regions = tuple(regions)

    def guest_range(self, address: int, length: int) -> memoryview:
        """Return the bytes at a guest physical address. Raises `MemoryFault`."""
        for region in self._regions:
            start = address - region.guest_address
            if 0 <= start and start + length <= len(region.view):
                return region.view[start : start + length]
        raise MemoryFault(f"guest memory: no range {address:#x}+{length:#x}")

    def user_range(self, address: int, length: int) -> memoryview:
        """Return the bytes at an address of QEMU's process. Raises `MemoryFault`."""
        for region in self._regions:
            start = address - region.user_address
            if 0 <= start and start + length <= len(region.view):
                return region.view[start : start + length]
        raise MemoryFault(f"guest memory: no range {address:#x}+{length:#x} of QEMU's")
