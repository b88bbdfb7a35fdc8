# SPDX-License-Identifier: Apache-2.0
"""The frame: ten bytes of header, big endian, then the payload.

    0        4           8      9       10
    ├────────┼───────────┼──────┼───────┼─────────
    │ length │ stream id │ type │ flags │ payload ...
    └────────┴───────────┴──────┴───────┴─────────

`HEADER` declares it and is the only place where the layout is written down.
construct takes 27 us to parse ten bytes, `struct` 0.15 us, so the hot paths use a
`struct.Struct` that is derived from the declaration when this module is imported.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

import construct

HEADER: Final = construct.Struct(
    "length" / construct.Int32ub,
    "stream_id" / construct.Int32ub,
    "type" / construct.Int8ub,
    "flags" / construct.Int8ub,
)


def _derive(declaration: construct.Struct) -> struct.Struct:
    """Return the `struct.Struct` of a construct of plain big-endian integers."""
    formats = [field.subcon.fmtstr for field in declaration.subcons]
    assert all(format[0] == ">" and len(format) == 2 for format in formats)
    return struct.Struct(">" + "".join(format[1] for format in formats))


HEADER_STRUCT: Final = _derive(HEADER)
HEADER_SIZE: Final = HEADER_STRUCT.size
MESSAGE_LIMIT: Final = 4 << 20
"""Bytes of payload in a frame, at most; every known peer has this limit."""

RawFrame: TypeAlias = tuple[int, int, int, "bytes | memoryview"]
"""Stream id, type, flags, payload: a frame on the hot path."""


class MessageType(enum.IntEnum):
    REQUEST = 1
    """Client to server: opens a stream."""
    RESPONSE = 2
    """Server to client: ends a stream."""
    DATA = 3
    """Either way, between the two."""


class Flags(enum.IntFlag):
    """What the sender of a frame tells of itself; "remote" is the receiver's view."""

    REMOTE_CLOSED = 1
    """The sender sends no more."""
    REMOTE_OPEN = 2
    """On a Request: the sender will send Data."""
    NO_DATA = 4
    """There is no message here; without it, no bytes are an empty message."""


REQUEST: Final = int(MessageType.REQUEST)
RESPONSE: Final = int(MessageType.RESPONSE)
DATA: Final = int(MessageType.DATA)
REMOTE_CLOSED: Final = int(Flags.REMOTE_CLOSED)
REMOTE_OPEN: Final = int(Flags.REMOTE_OPEN)
NO_DATA: Final = int(Flags.NO_DATA)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, to build and to show; the hot paths use bare tuples."""

    stream_id: int
    type: int
    flags: int = 0
    payload: bytes = b""

    def serialize(self) -> bytes:
        """Return the frame as it is on the wire."""
        header = HEADER.build(
            {
                "length": len(self.payload),
                "stream_id": self.stream_id,
                "type": self.type,
                "flags": self.flags,
            }
        )
        return bytes(header) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> Frame:
        """Read the frame that `data` is.

        Raises:
            ValueError: `data` is shorter or longer than its header says.
        """
        if len(data) < HEADER_SIZE:
            raise ValueError(f"frame: {len(data)} bytes, the header has {HEADER_SIZE}")
        header = HEADER.parse(data)
        payload = data[HEADER_SIZE:]
        if len(payload) != header.length:
            raise ValueError(
                f"frame: {len(payload)} bytes of payload, the header says "
                f"{header.length}"
            )
        return cls(header.stream_id, header.type, header.flags, payload)

    def __str__(self) -> str:
        """`stream 1 REQUEST [REMOTE_OPEN|NO_DATA] 12 bytes`."""
        try:
            kind = MessageType(self.type).name
        except ValueError:
            kind = f"type {self.type}"
        flags = f" [{Flags(self.flags).name or hex(self.flags)}]" if self.flags else ""
        return f"stream {self.stream_id} {kind}{flags} {len(self.payload)} bytes"
