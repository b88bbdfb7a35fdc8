# SPDX-License-Identifier: Apache-2.0
"""One split virtqueue, seen from the device (VIRTIO 1.2, 2.7).

    descriptors   16 bytes each: address (8), length (4), flags (2), next (2)
    available     flags, idx, then heads that the guest offers     (16 bits each)
    used          flags, idx, then (head, length) that we give back (2 x 32 bits)

Indirect descriptors and event indexes are not offered to the guest, so using them is an
error. The three areas are read as arrays of machine words. This needs a little-endian
host, and one that keeps stores in order without barriers: x86-64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from kata_host.guest.vsock.memory import GuestMemory

DESC_F_NEXT: Final = 1
DESC_F_WRITE: Final = 2
DESC_F_INDIRECT: Final = 4
SIZE_LIMIT: Final = 32768
_DESCRIPTOR: Final = struct.Struct("<QIHH")


class VirtqueueError(Exception):
    """The guest broke the rules of a ring, so nothing in that ring can be trusted."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The buffers that the guest offered together."""

    head: int
    buffers: list[memoryview]

    @property
    def size(self) -> int:
        """Bytes in all buffers."""
        return sum(len(buffer) for buffer in self.buffers)


class Virtqueue:
    """A ring in guest memory.

    `writable` is True if the device writes into the buffers, False if the guest does.
    The addresses of the three areas are of QEMU's process. Raises `VirtqueueError` for
    an invalid size, and `MemoryFault` for an area outside of the guest's memory.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        *,
        descriptors: int,
        available: int,
        used: int,
        next_index: int,
        writable: bool,
    ) -> None:
        if not 0 < size <= SIZE_LIMIT or size & (size - 1):
            raise VirtqueueError(f"virtqueue: invalid size {size}")
        self._memory = memory
        self._size = size
        self._expected = DESC_F_WRITE if writable else 0
        self._descriptors = memory.user_range(descriptors, 16 * size)
        self._available = memory.user_range(available, 4 + 2 * size).cast("H")
        used_area = memory.user_range(used, 4 + 8 * size)
        self._used = used_area.cast("I")
        self._used_index = used_area.cast("H")
        self._used_next = self._used_index[1]
        self.next_index = next_index
        """The index of the next entry of the available ring (GET_VRING_BASE)."""

    def pop(self) -> Chain | None:
        """Take the next chain that the guest offers, or return None.

        Raises `VirtqueueError`, or `MemoryFault` for a buffer outside of the memory.
        """
        waiting = (self._available[1] - self.next_index) & 0xFFFF
        if not waiting:
            return None
        if waiting > self._size:
            raise VirtqueueError(
                f"virtqueue: {waiting} chains offered in {self._size} slots"
            )
        head = self._available[2 + self.next_index % self._size]
        chain = Chain(head, self._buffers(head))
        self.next_index = (self.next_index + 1) & 0xFFFF
        return chain

    def put_back(self) -> None:
        """Undo the last `pop`, whose chain is then the next one again."""
        self.next_index = (self.next_index - 1) & 0xFFFF

    def push(self, chain: Chain, written: int) -> None:
        """Give a chain back to the guest with `written` bytes in it."""
        slot = 1 + 2 * (self._used_next % self._size)
        self._used[slot] = chain.head
        self._used[slot + 1] = written
        self._used_next = (self._used_next + 1) & 0xFFFF
        self._used_index[1] = self._used_next

    def _buffers(self, head: int) -> list[memoryview]:
        buffers: list[memoryview] = []
        index = head
        while True:
            if index >= self._size:
                raise VirtqueueError(f"virtqueue: no descriptor {index}")
            if len(buffers) == self._size:
                raise VirtqueueError(f"virtqueue: endless chain from descriptor {head}")
            address, length, flags, following = _DESCRIPTOR.unpack_from(
                self._descriptors, 16 * index
            )
            if flags & (DESC_F_WRITE | DESC_F_INDIRECT) != self._expected:
                raise VirtqueueError(
                    f"virtqueue: descriptor {index} has flags {flags:#x}"
                )
            buffers.append(self._memory.guest_range(address, length))
            if not flags & DESC_F_NEXT:
                return buffers
            index = following
