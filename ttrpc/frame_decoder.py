# SPDX-License-Identifier: Apache-2.0
"""Cuts received bytes into frames, wherever the socket split them.

Small frames are sliced out of the bytes of one receive. A large frame of which only
a part has arrived gets a buffer of its own, so that the socket can be read into it:

    buffer = decoder.large_buffer
    if buffer is None:
        frames = decoder.receive(sock.recv(RECEIVE_SIZE))
    else:
        frames = decoder.fill(sock.recv_into(buffer))
"""

from __future__ import annotations

from typing import Final

from ttrpc.frame import (
    HEADER_SIZE,
    HEADER_STRUCT,
    MESSAGE_LIMIT,
    Oversized,
    ReceivedFrame,
)
from ttrpc.freed_memory import keep_freed_memory
from ttrpc.share import Share

LARGE: Final = 16 << 10
"""Bytes of payload from which a frame gets a buffer of its own."""
FIRST_BUFFER: Final = 64 << 10
"""Bytes of a frame's first buffer, so that a peer that announces 4 MiB does not get
them before it has sent a part of them."""
GROWTH: Final = 32
"""Each larger buffer holds so many times the bytes that have arrived: behind a receive
of 64 KiB, a message of up to 2 MiB has its place at once and never moves. (Mapped
memory would be allocated on use too, but costs a page fault for each page, every
time.)"""

_NO_FRAME: Final = Oversized(0, 0)


class FrameDecoder:
    """Cuts one connection's bytes into frames."""

    __slots__ = (
        "_discard",
        "_filled",
        "_header",
        "_large",
        "_length",
        "_limit",
        "_oversized",
        "_pending",
        "_share",
        "large_buffer",
        "reserved",
        "since",
    )

    def __init__(
        self, limit: int = MESSAGE_LIMIT, *, share: Share | None = None
    ) -> None:
        """Start between two frames.

        Args:
            limit: Bytes of a payload; a longer one is discarded and gives Oversized.
            share: Counts the bytes of `large_buffer`. A frame for which it has no room
                is discarded too, and so is one that has to give way to others'.
        """
        self._limit = limit
        self._share = share
        self.reserved = 0
        """Bytes that were taken from the share."""
        self.since = 0.0
        """When the large frame began to arrive, by the clock of the quota."""
        self._pending = b""
        """The start of a small frame."""
        self._oversized = _NO_FRAME
        self._discard = 0
        """Bytes of `_oversized` that are still to come."""
        self._header = (0, 0, 0)
        """Stream id, type and flags of the frame in `_large`."""
        self._large: memoryview | None = None
        self._length = 0
        """Bytes of the whole payload of the frame in `_large`."""
        self._filled = 0
        """Bytes of that payload that have arrived."""
        self.large_buffer: memoryview | None = None
        """The buffer for the rest of a large payload; None while no such payload is
        incomplete."""

    @property
    def is_idle(self) -> bool:
        """Whether no frame is incomplete."""
        return not self._pending and self._large is None and not self._discard

    def receive(self, data: bytes) -> list[ReceivedFrame]:
        """Take received bytes and return the frames that they complete."""
        frames: list[ReceivedFrame] = []
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
        if self._discard:
            position = self._skip(data, position, frames)
        end = len(data)
        unpack = HEADER_STRUCT.unpack_from
        while end - position >= HEADER_SIZE:
            length, stream_id, type, flags = unpack(data, position)
            start = position + HEADER_SIZE
            stop = start + length
            if length > self._limit:
                self._oversized = Oversized(stream_id, length)
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

    def fill(self, size: int) -> list[ReceivedFrame]:
        """Return the frame that the `size` bytes received into `large_buffer` complete.

        The list is empty while bytes of that frame are missing.
        """
        assert self._large is not None
        self._filled += size
        if self._filled < len(self._large):
            self.large_buffer = self._large[self._filled :]
            return []
        if self._filled < self._length:
            self._grow(GROWTH * self._filled, self._large)
            return []
        frame = (*self._header, self._large)
        self.release()
        return [frame]

    def release(self) -> None:
        """Forget the large frame, and give the bytes back that it has of the share."""
        self._large = self.large_buffer = None
        if self._share is not None and self.reserved:
            self._share.give_back(self.reserved)
            self._share.quota.large_frames.discard(self)
            self.reserved = 0

    def give_way(self) -> None:
        """Discard the large frame, as if its share had never had room for it."""
        self.release()
        self._oversized = Oversized(self._header[0], self._length)
        self._discard = self._length - self._filled

    def _grow(self, size: int, filled: bytes | memoryview) -> None:
        """Move to a buffer of `size` bytes, or of the payload's if that is less."""
        size = min(size, self._length)
        if size > FIRST_BUFFER:
            keep_freed_memory()
        if self._share is not None and not self._reserve(self._share, size):
            self.give_way()
            return
        self._large = memoryview(bytearray(size))
        self._large[: self._filled] = filled
        self.large_buffer = self._large[self._filled :]

    def _reserve(self, share: Share, size: int) -> bool:
        """Have `size` bytes of the share. Returns whether that was possible."""
        quota = share.quota
        if not self.reserved:
            self.since = quota.clock()
        quota.large_frames.discard(self)  # It does not give way to itself.
        if not share.take(size - self.reserved):
            return False
        self.reserved = size
        quota.large_frames.add(self)
        return True

    def _skip(self, data: bytes, start: int, frames: list[ReceivedFrame]) -> int:
        """Discard the oversized payload from `start` on; return its end in `data`."""
        size = min(self._discard, len(data) - start)
        self._discard -= size
        if not self._discard:
            frames.append(self._oversized)
        return start + size
