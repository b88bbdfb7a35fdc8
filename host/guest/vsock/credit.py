# SPDX-License-Identifier: Apache-2.0
"""The bytes in flight of one connection, in both directions.

Each side tells the other how large its buffer is and how many bytes its user has taken;
the other side sends no more than fits (VIRTIO 1.2, 5.10.6.3 "Buffer Space Management").
All counts are modulo 2^32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BUFFER_SIZE: Final = 256 * 1024
"""Bytes that the guest may send before the host has taken any."""
UPDATE_AFTER: Final = BUFFER_SIZE // 4
"""Bytes that the host may take before the guest is told."""
MODULO_MASK: Final = 0xFFFFFFFF


@dataclass(slots=True)
class Credit:
    """Counts of bytes since the connection was opened."""

    sent: int = 0
    """Bytes sent to the guest."""
    guest_buffer: int = 0
    """The size of the guest's buffer."""
    guest_taken: int = 0
    """Bytes that the guest's program has read."""
    received: int = 0
    """Bytes received from the guest."""
    taken: int = 0
    """Bytes that the host's socket has taken."""
    announced: int = 0
    """The value of `taken` that the guest knows."""

    @property
    def room(self) -> int:
        """Bytes that fit into the guest's buffer; never negative."""
        in_flight = (self.sent - self.guest_taken) & MODULO_MASK
        return max(0, self.guest_buffer - in_flight)

    def send(self, length: int) -> None:
        """Count bytes that are sent to the guest."""
        self.sent = (self.sent + length) & MODULO_MASK

    def receive(self, length: int) -> bool:
        """Count bytes from the guest; return False if there were too many."""
        self.received = (self.received + length) & MODULO_MASK
        return (self.received - self.taken) & MODULO_MASK <= BUFFER_SIZE

    def take(self, length: int) -> bool:
        """Count bytes that the host took; return whether the guest is to be told."""
        self.taken = (self.taken + length) & MODULO_MASK
        return (self.taken - self.announced) & MODULO_MASK >= UPDATE_AFTER
