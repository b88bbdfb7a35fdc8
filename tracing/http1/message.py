# SPDX-License-Identifier: Apache-2.0
"""A request or a response, and how to write one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class HttpError(Exception):
    """The peer does not speak HTTP, or sends more than is allowed."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is the response that a server sends for it."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpMessage:
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
        return parse_status(self.start_line)

    @property
    def target(self) -> tuple[str, str]:
        """Method and target of a request. Raises `HttpError`."""
        words = self.start_line.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
            raise HttpError(400, f"invalid request line {self.start_line[:64]!r}")
        return words[0], words[1]


def parse_status(start_line: str) -> int:
    """Return the status code of a response's first line. Raises `HttpError`."""
    version, _, rest = start_line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or len(code) < 3 or not code.isdecimal():
        raise HttpError(502, f"invalid status line {start_line[:64]!r}")
    return int(code)


def format_request(
    path: str, body: bytes, content_type: str, *, host: str = "localhost"
) -> bytes:
    """Return the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kata-agent\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def format_response(
    status: int, reason: str, headers: Mapping[str, str], body: bytes = b""
) -> bytes:
    """Return the bytes of a response; Content-Length is added to `headers`."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
