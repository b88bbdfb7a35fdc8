# SPDX-License-Identifier: Apache-2.0
"""Just enough HTTP/1.1 (RFC 9112) for the trace port, without I/O.

Bytes in, whole messages out, every size bounded: the peer of the sender is a
collector that may be broken, the peer of the forwarder is a guest that may be
hostile. `http.client` would cost the guest 5 MiB and bounds neither the time
nor the head of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 16 << 10
"""Bytes of start line and headers together; also of all chunk framing."""
MAX_DIGITS: Final = 12
"""Digits of a length, decimal or hexadecimal."""
CRLF: Final = b"\r\n"


class HttpError(Exception):
    """The peer does not speak HTTP, or says more than is allowed.

    `status` is what a server answers to it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response."""

    start_line: str
    headers: Mapping[str, str]
    """By lower-case name; of several with one name, the last."""
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Tell whether another message may follow on the connection."""
        options = self.headers.get("connection", "").lower()
        if "HTTP/1.1" in self.start_line:
            return "close" not in options
        return "keep-alive" in options

    @property
    def status(self) -> int:
        """The status code of a response. Raises `HttpError`."""
        return _status(self.start_line)

    @property
    def target(self) -> tuple[str, str]:
        """Method and target of a request. Raises `HttpError`."""
        words = self.start_line.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            raise HttpError(400, f"not a request: {self.start_line[:64]!r}")
        return words[0], words[1]


class MessageReader:
    """Finds the messages in what one side of a connection sends."""

    def __init__(self, *, max_body: int, response: bool = False) -> None:
        self._max_body = max_body
        self._response = response
        self._buffer = bytearray()
        self._head: tuple[str, dict[str, str]] | None = None

    @property
    def has_begun(self) -> bool:
        """Tell whether part of a message is here."""
        return self._head is not None or bool(self._buffer)

    @property
    def head(self) -> tuple[str, Mapping[str, str]] | None:
        """Start line and headers of the message whose body is awaited."""
        return self._head

    def feed(self, data: bytes) -> Message | None:
        """Take bytes; return a message when one is complete.

        Call it with b"" for the next one. Raises `HttpError`.
        """
        self._buffer += data
        if self._head is None:
            end = self._buffer.find(CRLF + CRLF)
            if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
                raise HttpError(431, f"head over {MAX_HEAD} bytes")
            if end < 0:
                return None
            self._head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._response:
                _status(self._head[0])
        body = self._take_body(*self._head)
        if body is None:
            return None
        (start_line, headers), self._head = self._head, None
        message = Message(start_line, headers, body)
        if self._response and message.status < 200:
            return self.feed(b"")  # Interim: the real answer follows.
        return message

    def end(self) -> Message:
        """Take the end of the stream, which ends a response without a length.

        Raises `HttpError` when the message is incomplete.
        """
        head = self._head
        if head is None or not self._response or _has_length(head[1]):
            raise HttpError(400, "connection closed inside a message")
        return Message(head[0], head[1] | {"connection": "close"}, bytes(self._buffer))

    def _take_body(self, start_line: str, headers: Mapping[str, str]) -> bytes | None:
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].strip().lower() != "chunked":
                raise HttpError(501, "unknown transfer encoding")
            if not self._response:
                # Not from a guest: a chunk a byte would be work without end.
                raise HttpError(411, "a request needs a Content-Length")
            return self._take_chunked()
        if "content-length" in headers:
            length = _number(headers["content-length"], 10)
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
        # Decoded anew with every piece that comes: answers and batches are small,
        # and both the pieces and their framing are bounded.
        if len(self._buffer) > self._max_body + MAX_HEAD:
            raise HttpError(413, f"body over {self._max_body} bytes")
        body, at = bytearray(), 0
        while True:
            line_end = self._buffer.find(CRLF, at)
            if line_end < 0:
                return None
            size = _number(
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


def request(
    path: str, body: bytes, content_type: str, *, host: str = "localhost"
) -> bytes:
    """Return the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kata-agent\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def response(
    status: int, reason: str, headers: Mapping[str, str], body: bytes = b""
) -> bytes:
    """Return the bytes of an answer; its length is added."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    start_line, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise HttpError(400, f"not a header: {line[:64]!r}")
        name, value = name.lower(), value.strip(" \t")
        if name == "content-length" and headers.get(name, value) != value:
            raise HttpError(400, "two lengths")
        headers[name] = value
    return start_line, headers


def _status(start_line: str) -> int:
    version, _, rest = start_line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or len(code) < 3 or not code.isdecimal():
        raise HttpError(502, f"not a response: {start_line[:64]!r}")
    return int(code)


def _has_no_body(start_line: str) -> bool:
    """Tell whether a response has no body whatever its headers say (RFC 9112 6.3)."""
    status = _status(start_line)
    return status in (204, 304) or status < 200


def _has_length(headers: Mapping[str, str]) -> bool:
    return "content-length" in headers or "transfer-encoding" in headers


def _number(text: str, base: int) -> int:
    text = text.strip(" \t")
    # int() alone would take "+1", "1_0" and digits of other scripts.
    if len(text) > MAX_DIGITS or not text.isascii() or not text.isalnum():
        raise HttpError(400, f"not a length: {text[:16]!r}")
    try:
        return int(text, base)
    except ValueError:
        raise HttpError(400, f"not a length: {text[:16]!r}") from None
