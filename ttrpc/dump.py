# SPDX-License-Identifier: Apache-2.0
"""Prints a captured session: a line for each frame, and one for its content.

    > stream 1 REQUEST 28 bytes
        /peer.v1.Echo/Echo, payload 4 bytes 0a026869
    < stream 1 RESPONSE 6 bytes
        OK, payload 4 bytes 0a026869

A capture is one connection in one of three forms, which its first bytes tell apart:

- the stderr of `socat -x`: a line `> ... length=12 ...` and then the bytes in
  hexadecimal, `>` for one direction and `<` for the other;
- lines `> HEXADECIMAL` and `< HEXADECIMAL`, with blanks anywhere between bytes;
- otherwise the raw bytes of one direction, as `socat -r FILE` writes them.

The peers are not trusted: every line of output is printable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from ttrpc.envelope_pb2 import Request, Response
from ttrpc.errors import StatusError, sanitize
from ttrpc.frame import (
    DATA,
    NO_DATA,
    REQUEST,
    RESPONSE,
    Frame,
    Oversized,
    ReceivedFrame,
)
from ttrpc.frame_decoder import FrameDecoder

SHOWN: Final = 32
"""Bytes of a payload that are shown."""
INDENT: Final = "    "
TEXT_START: Final = re.compile(rb"[<>] ")
SOCAT_LINE: Final = re.compile(rb"([<>]) .*\blength=\d+ from=\d+ to=\d+$")
SOCAT_LOG: Final = re.compile(rb"\d{4}/\d\d/\d\d \S+ socat\[")
HEX_LINE: Final = re.compile(rb"([<>])((?: *[0-9a-fA-F]{2})*)$")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes in one direction, in the order in which they were captured."""

    direction: str
    """`>` or `<`; empty if the capture has one direction only."""
    data: bytes


def read_capture(capture: bytes) -> Iterator[Piece]:
    """Parse a capture of any form.

    Raises:
        ValueError: the capture begins as text, but a line of it is not hexadecimal; the
            message names the line.
    """
    if not TEXT_START.match(capture):
        yield Piece("", capture)
        return
    direction = ""
    for number, line in enumerate(capture.splitlines(), start=1):
        line = line.rstrip()
        if header := SOCAT_LINE.match(line):
            direction = header[1].decode()
            continue
        if SOCAT_LOG.match(line):
            continue
        # socat's lines of bytes have no mark; the line above them has it.
        marked = line if line.startswith((b"<", b">")) else direction.encode() + line
        found = HEX_LINE.match(marked)
        if found is None:
            text = sanitize(line[:SHOWN].decode(errors="replace"))
            raise ValueError(f"line {number}: not bytes in hexadecimal: '{text}'")
        yield Piece(found[1].decode(), bytes.fromhex(found[2].decode()))


def describe(pieces: Iterable[Piece]) -> Iterator[str]:
    """Yield the lines that show a session."""
    decoders: dict[str, FrameDecoder] = {}
    for piece in pieces:
        decoder = decoders.setdefault(piece.direction, FrameDecoder())
        for frame in decoder.receive(piece.data):
            yield from _describe_frame(piece.direction, frame)
    for direction, decoder in decoders.items():
        if not decoder.is_idle:
            yield _marked(direction, "cut off in the middle of a frame")


def _describe_frame(direction: str, received: ReceivedFrame) -> Iterator[str]:
    if isinstance(received, Oversized):
        stream_id, length = received
        yield _marked(direction, f"stream {stream_id} too large: {length} bytes")
        return
    stream_id, type, flags, payload = received
    frame = Frame(stream_id, type, flags, bytes(payload))
    yield _marked(direction, str(frame))
    yield from (INDENT + line for line in _describe_body(frame))


def _describe_body(frame: Frame) -> Iterator[str]:
    try:
        if frame.type == REQUEST:
            yield _describe_request(Request.FromString(frame.payload))
        elif frame.type == RESPONSE:
            yield _describe_response(Response.FromString(frame.payload))
        elif frame.type == DATA:
            if frame.payload or not frame.flags & NO_DATA:
                yield f"message {_describe_bytes(frame.payload)}"
        elif frame.payload:
            yield _describe_bytes(frame.payload)
    except DecodeError:
        yield f"not protobuf: {_describe_bytes(frame.payload)}"


def _describe_request(request: Request) -> str:
    parts = [sanitize(f"/{request.service}/{request.method}")]
    if request.timeout_nano:
        parts.append(f"timeout {request.timeout_nano / 1e9:g} s")
    parts += [sanitize(f"{pair.key}={pair.value}") for pair in request.metadata]
    parts.append(f"payload {_describe_bytes(request.payload)}")
    return ", ".join(parts)


def _describe_response(response: Response) -> str:
    status = response.status
    if status.code or status.message:
        text = str(StatusError(status.code, status.message))
        return f"{text}, {len(status.details)} details" if status.details else text
    return f"OK, payload {_describe_bytes(response.payload)}"


def _describe_bytes(data: bytes) -> str:
    shown = f"{len(data)} bytes {data[:SHOWN].hex()}"
    return f"{shown}..." if len(data) > SHOWN else shown.rstrip()


def _marked(direction: str, text: str) -> str:
    return f"{direction} {text}" if direction else text
