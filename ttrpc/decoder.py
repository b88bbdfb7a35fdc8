# SPDX-License-Identifier: Apache-2.0
"""Bytes in, frames out, however the bytes were split.

Small frames are sliced out of what was received. A large one that has not all
come gets a buffer of its own, which whoever reads the socket may fill in place:

    buffer = decoder.large_buffer
    if buffer is None:
        frames = decoder.receive(sock.recv(RECEIVE_SIZE))
    else:
        frames = decoder.fill(sock.recv_into(buffer))
"""

from __future__ import annotations

from typing import Final

from ttrpc.frame import HEADER_SIZE, HEADER_STRUCT, MESSAGE_LIMIT, RawFrame

OVERSIZED: Final = -1
"""Stands for the type of a frame over the limit. Its payload has been discarded,
and where the flags were stands the length."""

LARGE: Final = 16 << 10
"""Bytes of payload from which a frame gets its own buffer."""

FIRST_BUFFER: Final = 64 << 10
GROWTH: Final = 8
"""How that buffer grows: a peer that promises 4 MiB must send some of it before it
gets so much memory. (Mapped memory, which is there only when it is touched, costs a
page fault for each page, every time.)"""


class FrameDecoder:
    """Cuts one connection's bytes into frames."""

    __slots__ = (
        "_discard",
        "_filled",
        "_header",
        "_large",
        "_length",
        "_limit",
        "_pending",
        "large_buffer",
    )

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._limit = limit
        self._pending = b""
        self._discard = 0
        self._header = (0, 0, 0)
        self._large: memoryview | None = None
        self._length = 0
        self._filled = 0
        self.large_buffer: memoryview | None = None
        """Where the rest of a large payload belongs; None when none is under way."""

    @property
    def is_idle(self) -> bool:
        """Whether the bytes so far ended with a whole frame."""
        return not self._pending and self._large is None and not self._discard

    def receive(self, data: bytes) -> list[RawFrame]:
        """Take bytes that were received and return the frames they complete."""
        frames: list[RawFrame] = []
        position = 0
        if self._pending:
            data = self._pending + data
            self._pending = b""
        elif self._large is not None:
            while self.large_buffer is not None and position < len(data):
                size = min(len(self.large_buffer), len(data) - position)
                self.large_buffer[:size] = data[position : position + size]
                position += size
                frames += self.fill(size)
        elif self._discard:
            position = self._skip(data, 0, frames)
        end = len(data)
        unpack = HEADER_STRUCT.unpack_from
        while end - position >= HEADER_SIZE:
            length, stream_id, type, flags = unpack(data, position)
            start = position + HEADER_SIZE
            stop = start + length
            if length > self._limit:
                self._header = (stream_id, OVERSIZED, length)
                self._discard = length
                position = self._skip(data, start, frames)
            elif stop <= end:
                frames.append((stream_id, type, flags, data[start:stop]))
                position = stop
            elif length >= LARGE:
                self._header = (stream_id, type, flags)
                self._length = length
                self._filled = end - start
                self._grow(max(FIRST_BUFFER, GROWTH * self._filled), data[start:])
                return frames
            else:
                break
        if position < end:
            self._pending = data[position:]
        return frames

    def fill(self, size: int) -> list[RawFrame]:
        """Take note that `size` bytes were received into `large_buffer`."""
        assert self._large is not None
        self._filled += size
        if self._filled < len(self._large):
            self.large_buffer = self._large[self._filled :]
            return []
        if self._filled < self._length:
            self._grow(GROWTH * self._filled, self._large)
            return []
        frame = (*self._header, self._large)
        self._large = self.large_buffer = None
        return [frame]

    def _grow(self, size: int, filled: bytes | memoryview) -> None:
        """Get a buffer of that size, but no longer than the payload."""
        self._large = memoryview(bytearray(min(size, self._length)))
        self._large[: self._filled] = filled
        self.large_buffer = self._large[self._filled :]

    def _skip(self, data: bytes, start: int, frames: list[RawFrame]) -> int:
        """Discard payload that is over the limit; return where that ends."""
        size = min(self._discard, len(data) - start)
        self._discard -= size
        if not self._discard:
            frames.append((*self._header, b""))
        return start + size
