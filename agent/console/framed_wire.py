# SPDX-License-Identifier: Apache-2.0
"""A shell's session in frames (docs/design/shell.md): the terminal's size, and the exit
status, beside keys and output.

    kind (1 byte)   length (4 bytes, big-endian)   payload
"""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct(">BI")
KEYS: Final = 0
"""From the host: what was typed."""
OUTPUT: Final = 1
"""From the guest: what the terminal shows."""
STATUS: Final = 3
"""From the guest, at the end: the exit status of the shell, 128+n after signal n."""
SIZE: Final = 4
"""From the host: rows and columns of its terminal."""
LIMIT: Final = 65536
"""Bytes of a payload, at most."""
_SIZE: Final = struct.Struct(">HH")
_STATUS: Final = struct.Struct(">I")


class FramedWire:
    """The guest's end of one connection."""

    def __init__(self) -> None:
        self._rest = b""
        """A frame of which only the beginning is here."""
        self._size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        return self._size

    def received(self, data: bytes) -> bytes:
        buffer, begin, keys = self._rest + data, 0, []
        while len(buffer) - begin >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer, begin)
            # Before the payload is here, so that a peer cannot make us keep much.
            self._check(kind, length)
            payload = buffer[begin + HEADER.size : begin + HEADER.size + length]
            if len(payload) < length:
                break
            begin += HEADER.size + length
            if kind == KEYS:
                keys.append(payload)
            else:
                self._size = _SIZE.unpack(payload)
        self._rest = buffer[begin:]
        return b"".join(keys)

    def output(self, data: bytes) -> bytes:
        return HEADER.pack(OUTPUT, len(data)) + data

    def ended(self, status: int) -> bytes:
        return HEADER.pack(STATUS, _STATUS.size) + _STATUS.pack(status)

    @staticmethod
    def _check(kind: int, length: int) -> None:
        if kind == KEYS and length <= LIMIT:
            return
        if kind == SIZE and length == _SIZE.size:
            return
        raise ValueError(f"shell: frame of kind {kind} with {length} bytes")
