# SPDX-License-Identifier: Apache-2.0
"""Cuts the bytes of one side of a connection into messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kata_tracing.http1.message import HttpError, HttpMessage, parse_status

MAX_HEAD: Final = 16 << 10
"""Bytes of start line and headers together; also of all chunk framing."""
MAX_DIGITS: Final = 12
"""Digits of a length, decimal or hexadecimal."""
CRLF: Final = b"\r\n"


class MessageReader:
    """Reads requests, or responses."""

    def __init__(self, *, max_body: int, response: bool = False) -> None:
        """`max_body` is in bytes."""
        self._max_body = max_body
        self._response = response
        self._buffer = bytearray()
        self._head: tuple[str, dict[str, str]] | None = None

    @property
    def has_begun(self) -> bool:
        """Tell whether a part of the next message has been read."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> HttpMessage | None:
        """Take bytes; return a message if one is complete.

        Call it with b"" for the next one. Raises `HttpError`.
        """
        self._buffer += data
        # An interim response comes before the final one, and any number of them may.
        while (message := self._take_message()) is not None:
            if not self._response or message.status >= 200:
                break
        return message

    def _take_message(self) -> HttpMessage | None:
        if self._head is None:
            end = self._buffer.find(CRLF + CRLF)
            if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
                raise HttpError(431, f"head over {MAX_HEAD} bytes")
            if end < 0:
                return None
            self._head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._response:
                parse_status(self._head[0])
        body = self._take_body(*self._head)
        if body is None:
            return None
        (start_line, headers), self._head = self._head, None
        return HttpMessage(start_line, headers, body)

    def end(self) -> HttpMessage:
        """Take the end of the stream, which ends a response without a length.

        Raises `HttpError` if the message is incomplete.
        """
        head = self._head
        if head is None or not self._response or _has_length(head[1]):
            raise HttpError(400, "connection closed inside a message")
        headers = head[1] | {"connection": "close"}
        return HttpMessage(head[0], headers, bytes(self._buffer))

    def _take_body(self, start_line: str, headers: Mapping[str, str]) -> bytes | None:
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].strip().lower() != "chunked":
                raise HttpError(501, "unknown transfer encoding")
            if not self._response:
                # Not from a guest: chunks of one byte would be work without end.
                raise HttpError(411, "request without Content-Length")
            return self._take_chunked()
        if "content-length" in headers:
            length = _parse_length(headers["content-length"], 10)
            if length > self._max_body:
                raise HttpError(
                    413, f"body of {length} bytes, {self._max_body} allowed"
                )
            return self._take(length) if len(self._buffer) >= length else None
        if not self._response or _has_no_body(start_line):
            return b""
        if len(self._buffer) > self._max_body:
            raise HttpError(413, f"body over {self._max_body} bytes")
        return None

    def _take_chunked(self) -> bytes | None:
        # Decoded anew with every piece that comes, because responses are small, and
        # both the pieces and their framing are bounded.
        if len(self._buffer) > self._max_body + MAX_HEAD:
            raise HttpError(413, f"body over {self._max_body} bytes")
        body, at = bytearray(), 0
        while True:
            line_end = self._buffer.find(CRLF, at)
            if line_end < 0:
                return None
            size = _parse_length(
                self._buffer[at:line_end].partition(b";")[0].decode("latin-1"), 16
            )
            if len(body) + size > self._max_body:
                raise HttpError(413, f"body over {self._max_body} bytes")
            at = line_end + 2
            if size == 0:
                break
            if len(self._buffer) < at + size + 2:
                return None
            body += self._buffer[at : at + size]
            at += size + 2
        # Trailers, up to an empty line.
        while (line_end := self._buffer.find(CRLF, at)) != at:
            if line_end < 0:
                return None
            at = line_end + 2
        del self._buffer[: at + 2]
        return bytes(body)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


def _parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    start_line, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HttpError(400, f"invalid header {line[:64]!r}")
        name, value = name.lower(), value.strip(" \t")
        if name == "content-length" and headers.get(name, value) != value:
            raise HttpError(400, "two values of Content-Length")
        headers[name] = value
    return start_line, headers


def _has_no_body(start_line: str) -> bool:
    """Tell whether a response has no body whatever its headers say (RFC 9112 6.3)."""
    status = parse_status(start_line)
    return status in (204, 304) or status < 200


def _has_length(headers: Mapping[str, str]) -> bool:
    return "content-length" in headers or "transfer-encoding" in headers


def _parse_length(text: str, base: int) -> int:
    text = text.strip(" \t")
    # int() alone would take "+1", "1_0" and digits of other scripts.
    if len(text) > MAX_DIGITS or not text.isascii() or not text.isalnum():
        raise HttpError(400, f"invalid length {text[:16]!r}")
    try:
        return int(text, base)
    except ValueError:
        raise HttpError(400, f"invalid length {text[:16]!r}") from None
