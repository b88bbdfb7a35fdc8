# SPDX-License-Identifier: Apache-2.0
"""One connection without I/O: its state, who still sends, and the credit.

    REQUESTED --RESPONSE--> OPEN --RST--> CLOSED
        '-----------RST------------------^

A guest that opens a connection starts in OPEN. Anything that `_TRANSITIONS` does
not name is a violation: the connection is reset.

Each side may close its half (SHUTDOWN with SEND) and go on receiving. When a side
has closed both, the other answers with RST, and only then is the connection gone
(VIRTIO 1.2, 5.10.6.5 "Stream Sockets").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from kata_host.guest.vsock.packet import (
    HOST_CID,
    TYPE_STREAM,
    Header,
    Operation,
    Shutdown,
)

BUFFER_SIZE: Final = 256 * 1024
"""Bytes that a guest may send before the host has taken any."""
UPDATE_AFTER: Final = BUFFER_SIZE // 4
"""The guest is told of taken bytes when it does not know of this many."""
_MODULO: Final = 0xFFFFFFFF


class Violation(Exception):
    """The guest broke the protocol on one connection."""


class State(Enum):
    """Where a connection is between its first and its last packet."""

    REQUESTED = "requested"
    OPEN = "open"
    CLOSED = "closed"


_TRANSITIONS: Final = {
    (State.REQUESTED, Operation.RESPONSE): State.OPEN,
    (State.REQUESTED, Operation.RST): State.CLOSED,
    (State.OPEN, Operation.RW): State.OPEN,
    (State.OPEN, Operation.SHUTDOWN): State.OPEN,
    (State.OPEN, Operation.CREDIT_UPDATE): State.OPEN,
    (State.OPEN, Operation.CREDIT_REQUEST): State.OPEN,
    (State.OPEN, Operation.RST): State.CLOSED,
}


class Key(NamedTuple):
    """What names a connection of one guest."""

    host_port: int
    guest_port: int


@dataclass(slots=True)
class Credit:
    """Bytes in flight, counted modulo 2^32 (VIRTIO 1.2, 5.10.6.3)."""

    sent: int = 0
    """To the guest."""
    guest_buffer: int = 0
    guest_taken: int = 0
    received: int = 0
    """From the guest."""
    taken: int = 0
    """Of these, by the host."""
    told: int = 0
    """Of these, what the guest knows of."""

    @property
    def room(self) -> int:
        """Bytes that the guest has room for; never negative."""
        return max(0, self.guest_buffer - ((self.sent - self.guest_taken) & _MODULO))

    @property
    def untold(self) -> int:
        return (self.taken - self.told) & _MODULO


@dataclass(slots=True)
class Connection:
    """One connection between a port of the host and a port of the guest."""

    key: Key
    state: State
    credit: Credit = field(default_factory=Credit)
    guest_shutdown: Shutdown = Shutdown.NOTHING
    host_shutdown: Shutdown = Shutdown.NOTHING

    def receive(self, header: Header) -> Operation:
        """Account for a packet of the guest; raise `Violation` if it must not be."""
        try:
            operation = Operation(header.operation)
            state = _TRANSITIONS[self.state, operation]
        except (ValueError, KeyError):
            raise Violation(
                f"vsock {self.key}: operation {header.operation} in {self.state.value}"
            ) from None
        self.state = state
        self.credit.guest_buffer = header.buf_alloc
        self.credit.guest_taken = header.fwd_cnt
        if operation is Operation.RW:
            self._receive_data(header.length)
        elif operation is Operation.SHUTDOWN:
            self.guest_shutdown |= Shutdown(header.flags & Shutdown.BOTH)
        return operation

    def _receive_data(self, length: int) -> None:
        credit = self.credit
        if self.guest_shutdown & Shutdown.SEND:
            raise Violation(f"vsock {self.key}: data after the end")
        credit.received = (credit.received + length) & _MODULO
        if (credit.received - credit.taken) & _MODULO > BUFFER_SIZE:
            raise Violation(
                f"vsock {self.key}: more than {BUFFER_SIZE} bytes in flight"
            )

    @property
    def accepts_data(self) -> bool:
        """Whether the guest takes bytes at this moment."""
        return (
            self.state is State.OPEN
            and not self.guest_shutdown & Shutdown.RECEIVE
            and not self.host_shutdown & Shutdown.SEND
            and self.credit.room > 0
        )

    def send_data(self, length: int) -> None:
        """Account for bytes that go to the guest."""
        self.credit.sent = (self.credit.sent + length) & _MODULO

    def take_data(self, length: int) -> bool:
        """Account for bytes that the host took; return whether to tell the guest."""
        self.credit.taken = (self.credit.taken + length) & _MODULO
        return self.credit.untold >= UPDATE_AFTER

    def header(
        self, guest_cid: int, operation: Operation, *, length: int = 0, flags: int = 0
    ) -> Header:
        """Return the header of a packet to the guest, with the credit of now."""
        credit = self.credit
        credit.told = credit.taken
        return Header(
            src_cid=HOST_CID,
            dst_cid=guest_cid,
            src_port=self.key.host_port,
            dst_port=self.key.guest_port,
            length=length,
            type=TYPE_STREAM,
            operation=operation,
            flags=flags,
            buf_alloc=BUFFER_SIZE,
            fwd_cnt=credit.taken,
        )
