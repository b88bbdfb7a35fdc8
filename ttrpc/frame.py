# SPDX-License-Identifier: Apache-2.0
"""The frame: ten bytes of header, big endian, then the payload.

    0        4           8      9       10
    ├────────┼───────────┼──────┼───────┼─────────
    │ length │ stream id │ type │ flags │ payload ...
    └────────┴───────────┴──────┴───────┴─────────

`ttrpc.layout` declares it, for those who build and show single frames, and a test
holds `HEADER_STRUCT`, which connections use, to that.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

HEADER_STRUCT: Final = struct.Struct(">LLBB")
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
        from ttrpc.layout import HEADER

        """Return its bytes, header and payload."""
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
        from ttrpc.layout import HEADER

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
