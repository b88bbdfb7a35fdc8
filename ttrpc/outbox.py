# SPDX-License-Identifier: Apache-2.0
"""Serializes the frames that the I/O layer is to write."""

from __future__ import annotations

from ttrpc.envelope import response_head
from ttrpc.frame import (
    DATA,
    HEADER_SIZE,
    HEADER_STRUCT,
    NO_DATA,
    REMOTE_CLOSED,
    RESPONSE,
    Payload,
)

COPY_LIMIT = 4096
"""Bytes up to which a payload is copied behind its header: that is faster than to
write a chunk of its own."""

_SMALL_RESPONSE_HEADS = [response_head(length) for length in range(0x80)]
_pack = HEADER_STRUCT.pack


class Outbox:
    """Serialized frames, in the order in which they must be written."""

    __slots__ = ("chunks", "size")

    def __init__(self) -> None:
        self.chunks: list[Payload] = []
        """The bytes to write, in order; the I/O layer removes what it has written."""
        self.size = 0
        """Bytes in `chunks`."""

    def put(self, stream_id: int, type: int, flags: int, *parts: bytes) -> None:
        """Add a frame whose payload is the concatenation of `parts`."""
        length = sum(map(len, parts))
        self._add(_pack(length, stream_id, type, flags), *parts)

    def put_response(self, stream_id: int, payload: bytes) -> None:
        """Add an OK Response around `payload`."""
        size = len(payload)
        if size < 0x80:
            head = _SMALL_RESPONSE_HEADS[size]
        else:
            head = response_head(size)
        length = size + len(head)
        prefix = _pack(length, stream_id, RESPONSE, 0) + head
        self.size += length + HEADER_SIZE
        if size <= COPY_LIMIT:
            self.chunks.append(prefix + payload)
        else:
            self.chunks += (prefix, payload)

    def put_message(self, stream_id: int, payload: bytes) -> None:
        """Add a Data frame with one message."""
        size = len(payload)
        header = _pack(size, stream_id, DATA, 0)
        self.size += size + HEADER_SIZE
        if size <= COPY_LIMIT:
            self.chunks.append(header + payload)
        else:
            self.chunks += (header, payload)

    def put_close(self, stream_id: int) -> None:
        """Add the Data frame that closes a direction.

        The frame has no message, because every known peer reads only this form as the
        end: ttrpc-rust refuses a frame with data, and Go's client takes a frame without
        NO_DATA for an empty message.
        """
        self._add(_pack(0, stream_id, DATA, REMOTE_CLOSED | NO_DATA))

    def _add(self, *parts: bytes) -> None:
        size = sum(map(len, parts))
        self.size += size
        if size <= COPY_LIMIT:
            self.chunks.append(b"".join(parts))
        else:
            self.chunks += parts
