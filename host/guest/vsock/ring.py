# SPDX-License-Identifier: Apache-2.0
"""One queue as QEMU has described it so far, and the descriptors that come with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from kata_host.guest.vsock.memory import GuestMemory
from kata_host.guest.vsock.virtqueue import Virtqueue

RECEIVE_QUEUE: Final = 0
"""The index of the queue with packets for the guest."""
TRANSMIT_QUEUE: Final = 1
"""The index of the queue with packets of the guest."""
QUEUES: Final = 2
"""The number of queues served here; QEMU itself serves the third, the event queue."""


@dataclass(slots=True)
class Ring:
    """One queue; vhost-user calls it a vring."""

    index: int
    size: int = 0
    base: int = 0
    """The index of the next entry of the available ring while `queue` is None."""
    addresses: dict[str, int] = field(default_factory=dict)
    """Addresses in QEMU's process: `descriptors`, `available` and `used`."""
    kick: int | None = None
    """The eventfd by which the guest says that it has offered buffers."""
    call: int | None = None
    """The eventfd that interrupts the guest."""
    enabled: bool = False
    queue: Virtqueue | None = None
    """The ring in the guest's memory, None until its addresses are known."""

    @property
    def is_running(self) -> bool:
        """Whether buffers may be taken from the ring."""
        return self.enabled and self.queue is not None and self.kick is not None

    def map(self, memory: GuestMemory) -> None:
        """Find the ring in the guest's memory.

        Raises `VirtqueueError` and `MemoryFault`.
        """
        self.queue = Virtqueue(
            memory,
            self.size,
            **self.addresses,
            next_index=self.base,
            writable=self.index == RECEIVE_QUEUE,
        )

    def remap(self, memory: GuestMemory) -> None:
        """Find the ring again after the memory has changed, if it was found before."""
        if self.queue is not None:
            self.base = self.queue.next_index
            self.map(memory)

    def unmap(self) -> None:
        """Let go of the ring, and keep the index of its next entry."""
        if self.queue is not None:
            self.base = self.queue.next_index
            self.queue = None

    def interrupt(self) -> None:
        """Tell the guest that buffers were given back.

        The guest's wish for silence (VIRTQ_AVAIL_F_NO_INTERRUPT) is not read: that
        would need a full memory barrier, and one interrupt covers a whole batch.
        """
        if self.call is not None:
            os.eventfd_write(self.call, 1)
