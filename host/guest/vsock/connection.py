# SPDX-License-Identifier: Apache-2.0
"""One connection without I/O: its state, its credit, and the directions still open.

    REQUESTED --RESPONSE--> OPEN --RST--> CLOSED
        '-----------RST------------------^

A connection that the guest opens starts in OPEN. An operation that TRANSITIONS does not
name for the state is a violation, and the connection is reset.

Each side may close its half (SHUTDOWN with SEND) and still receive. After one side has
closed both directions, the other answers with RST, and only then is the connection gone
(VIRTIO 1.2, 5.10.6.5 "Stream Sockets").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from kata_host.guest.vsock.credit import BUFFER_SIZE, Credit
from kata_host.guest.vsock.packet import (
    HOST_CID,
    TYPE_STREAM,
    Header,
    Operation,
    Shutdown,
)


class Violation(Exception):
    """The guest broke the protocol on one connection."""


class ConnectionState(Enum):
    """The state of a connection between its first and its last packet."""

    REQUESTED = "requested"
    OPEN = "open"
    CLOSED = "closed"


TRANSITIONS: Final = {
    (ConnectionState.REQUESTED, Operation.RESPONSE): ConnectionState.OPEN,
    (ConnectionState.REQUESTED, Operation.RST): ConnectionState.CLOSED,
    (ConnectionState.OPEN, Operation.RW): ConnectionState.OPEN,
    (ConnectionState.OPEN, Operation.SHUTDOWN): ConnectionState.OPEN,
    (ConnectionState.OPEN, Operation.CREDIT_UPDATE): ConnectionState.OPEN,
    (ConnectionState.OPEN, Operation.CREDIT_REQUEST): ConnectionState.OPEN,
    (ConnectionState.OPEN, Operation.RST): ConnectionState.CLOSED,
}
"""The next state, by the state and the operation of a packet."""


class Key(NamedTuple):
    """The pair of ports that identifies a connection of one guest."""

    host_port: int
    guest_port: int

    def __str__(self) -> str:
        return f"vsock connection {self.host_port}:{self.guest_port}"


@dataclass(slots=True)
class Connection:
    """One connection between a port of the host and a port of the guest."""

    key: Key
    state: ConnectionState
    credit: Credit = field(default_factory=Credit)
    guest_shutdown: Shutdown = Shutdown.NOTHING
    """The directions that the guest has closed."""
    host_shutdown: Shutdown = Shutdown.NOTHING
    """The directions that the guest has been told are closed."""

    def receive(self, header: Header) -> Operation:
        """Apply a packet of the guest and return its operation. Raises `Violation`."""
        try:
            operation = Operation(header.operation)
            self._advance(operation)
        except (ValueError, KeyError):
            raise Violation(
                f"{self.key}: operation {header.operation} in state {self.state.value}"
            ) from None
        self.credit.guest_buffer = header.buf_alloc
        self.credit.guest_taken = header.fwd_cnt
        if operation is Operation.RW:
            self._receive_data(header.length)
        elif operation is Operation.SHUTDOWN:
            self.guest_shutdown |= Shutdown(header.flags & Shutdown.BOTH)
        return operation

    def reset(self) -> None:
        """Apply an RST of the host's, unless the connection is closed already."""
        if self.state is not ConnectionState.CLOSED:
            self._advance(Operation.RST)

    def _advance(self, operation: Operation) -> None:
        self.state = TRANSITIONS[self.state, operation]

    def _receive_data(self, length: int) -> None:
        if self.guest_shutdown & Shutdown.SEND:
            raise Violation(f"{self.key}: data after the guest's SHUTDOWN")
        if not self.credit.receive(length):
            raise Violation(f"{self.key}: more than {BUFFER_SIZE} bytes in flight")

    @property
    def accepts_data(self) -> bool:
        """Whether the guest takes bytes at this moment."""
        return (
            self.state is ConnectionState.OPEN
            and not self.guest_shutdown & Shutdown.RECEIVE
            and not self.host_shutdown & Shutdown.SEND
            and self.credit.room > 0
        )

    def header(
        self, guest_cid: int, operation: Operation, *, length: int = 0, flags: int = 0
    ) -> Header:
        """Return the header of a packet to the guest, with the current credit."""
        credit = self.credit
        credit.announced = credit.taken
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
