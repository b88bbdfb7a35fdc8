# SPDX-License-Identifier: Apache-2.0
"""The frame: ten bytes of header, big endian, then the payload.

    0        4           8      9       10
    ├────────┼───────────┼──────┼───────┼─────────
    │ length │ stream id │ type │ flags │ payload ...
    └────────┴───────────┴──────┴───────┴─────────

`HEADER` declares the layout, and nothing else does. construct takes 27 us to parse
ten bytes and `struct` 0.15 us, so the hot paths use a `struct.Struct` that is derived
from the declaration when this module is imported.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, final

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

Payload: TypeAlias = bytes | memoryview
"""The bytes behind a header. A large payload is a view of its receive buffer."""
RawFrame: TypeAlias = tuple[int, int, int, Payload]
"""Stream id, type, flags, payload: a frame on the hot path."""


@final
class Oversized(NamedTuple):
    """Stands for a frame over the limit, whose payload has been discarded.

    So was that of a large frame for which there was no room.
    """

    stream_id: int
    """The call that it belongs to."""
    length: int
    """Bytes of payload that the header announced; within the limit, if there was no
    room."""


ReceivedFrame: TypeAlias = RawFrame | Oversized
"""One frame as the decoder hands it on."""


class MessageType(enum.IntEnum):
    """The third field of a header. Servers ignore frames of other types."""

    REQUEST = 1
    """Client to server: opens a stream."""
    RESPONSE = 2
    """Server to client: ends a stream."""
    DATA = 3
    """Either way, after the Request and before the Response: one message."""


class Flags(enum.IntFlag):
    """Flags describe the sender; "remote" is from the receiver's point of view."""

    REMOTE_CLOSED = 1
    """The sender sends no more."""
    REMOTE_OPEN = 2
    """On a Request: the sender will send Data."""
    NO_DATA = 4
    """The frame holds no message. Without this flag, no bytes are an empty message."""


REQUEST: Final = int(MessageType.REQUEST)
RESPONSE: Final = int(MessageType.RESPONSE)
DATA: Final = int(MessageType.DATA)
REMOTE_CLOSED: Final = int(Flags.REMOTE_CLOSED)
REMOTE_OPEN: Final = int(Flags.REMOTE_OPEN)
NO_DATA: Final = int(Flags.NO_DATA)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, to build and to print; the hot paths use bare tuples."""

    stream_id: int
    """The call that it belongs to; odd, because clients begin calls."""
    type: int
    """A `MessageType`, or a number of a future one."""
    flags: int = 0
    """Of `Flags`, joined by `|`."""
    payload: bytes = b""
    """A Request or Response of ttrpc/envelope.proto, or one message."""

    def serialize(self) -> bytes:
        """Return the bytes of the frame, header and payload."""
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
        """Parse one whole frame.

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
        """Return `stream 1 REQUEST [REMOTE_OPEN|NO_DATA] 12 bytes`, for example."""
        try:
            name = MessageType(self.type).name
        except ValueError:
            name = f"type {self.type}"
        flags = f" [{Flags(self.flags).name or hex(self.flags)}]" if self.flags else ""
        return f"stream {self.stream_id} {name}{flags} {len(self.payload)} bytes"
