# SPDX-License-Identifier: Apache-2.0
"""A ttrpc peer that sends any frames, also those that no library would send.

The peer shares only the two envelope messages with `ttrpc/`, so that a fault of
`ttrpc/` cannot hide itself.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from ttrpc import envelope_pb2

HEADER: Final = struct.Struct(">LLBB")
REQUEST, RESPONSE, DATA = 1, 2, 3
CLOSED, OPEN, NO_DATA = 1, 2, 4
LIMIT: Final = 4 << 20
"""Bytes that a body may have."""
SERVICE: Final = "peer.v1.Echo"
PATIENCE: Final = 10.0
"""Seconds for an answer that must come."""

_NAMES: Final = {REQUEST: "REQ", RESPONSE: "RES", DATA: "DATA"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it is on the wire."""

    stream_id: int
    type: int
    flags: int
    body: bytes

    def __bytes__(self) -> bytes:
        header = HEADER.pack(len(self.body), self.stream_id, self.type, self.flags)
        return header + self.body

    @property
    def response(self) -> envelope_pb2.Response:
        assert self.type == RESPONSE, self
        return envelope_pb2.Response.FromString(self.body)

    def __str__(self) -> str:
        """As the recorded sessions of `data/probe` write it."""
        shown = [f"{self.stream_id} {_NAMES.get(self.type, self.type)}"]
        shown += [f"fl={self.flags} len={len(self.body)}"]
        if self.type != RESPONSE:
            if self.body:
                shown.append(repr(self.body))
            return f"[{' '.join(shown)}]"
        response = self.response
        if response.HasField("status"):
            status = response.status
            text = f"code={status.code} msg={status.message!r}"
            if status.details:
                details = b"".join(d.SerializeToString() for d in status.details)
                text += f" details={details.hex()}"
            shown.append(f"status({text})")
        if response.payload:
            more = "..." if len(response.payload) > 24 else ""
            shown.append(f"payload={response.payload[:24]!r}{more}")
        return f"[{' '.join(shown)}]"


def request(
    stream_id: int,
    method: str,
    message: Message | bytes = b"",
    *,
    flags: int = 0,
    service: str = SERVICE,
    timeout_nano: int = 0,
    metadata: Iterable[tuple[str, str]] = (),
) -> Frame:
    body = envelope_pb2.Request(
        service=service,
        method=method,
        payload=_encode(message),
        timeout_nano=timeout_nano,
        metadata=[envelope_pb2.KeyValue(key=k, value=v) for k, v in metadata],
    )
    return Frame(stream_id, REQUEST, flags, body.SerializeToString())


def data(stream_id: int, message: Message | bytes = b"", flags: int = 0) -> Frame:
    return Frame(stream_id, DATA, flags, _encode(message))


def close(stream_id: int) -> Frame:
    """Return the frame that closes this side's direction of a stream."""
    return Frame(stream_id, DATA, CLOSED | NO_DATA, b"")


def _encode(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


class Wire:
    """A connection whose frames are read and written one by one."""

    def __init__(self, address: str) -> None:
        path = "\0" + address[1:] if address.startswith("@") else address
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *frames: Frame | bytes) -> None:
        self.socket.sendall(b"".join(bytes(frame) for frame in frames))

    def receive(self) -> Frame | None:
        """Return the next frame; None when the peer has closed.

        Raises:
            TimeoutError: nothing came.
        """
        header = self._exactly(HEADER.size)
        if header is None:
            return None
        length, stream_id, kind, flags = HEADER.unpack(header)
        body = self._exactly(length)
        assert body is not None, "closed within a frame"
        return Frame(stream_id, kind, flags, body)

    def receive_many(self, count: int) -> list[Frame]:
        """Return the next `count` frames."""
        frames: list[Frame] = []
        while len(frames) < count:
            frame = self.receive()
            assert frame is not None, f"closed after {[str(f) for f in frames]}"
            frames.append(frame)
        return frames

    def _exactly(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self.socket.recv(min(size - len(parts), 1 << 20))
            except ConnectionResetError:
                part = b""  # closed with bytes of ours unread
            if not part:
                assert not parts, "closed within a frame"
                return None
            parts += part
        return bytes(parts)
