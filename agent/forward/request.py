# SPDX-License-Identifier: Apache-2.0
"""What the host asks the forwarder for: the first line of a connection.

    FORWARD CONTAINER tcp:PORT
    FORWARD CONTAINER unix:/PATH

CONTAINER is an id, or `-` for the guest itself. docs/forward.md has the protocol.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import InvalidArgument

LINE_LIMIT: Final = 8192
"""Bytes of the line with its end; the longest path has 4095 (linux/limits.h)."""
GUEST: Final = b"-"
"""No container has this id."""
_PATH_LIMIT: Final = 4095
_PORT_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class ForwardRequest:
    """A program to connect to: it listens on `port` of its loopback, or on `path`."""

    container_id: str
    """Empty for the guest itself."""
    port: int = 0
    path: str = ""
    """Of a unix socket, absolute; bytes that are no UTF-8 are surrogates."""

    def __str__(self) -> str:
        """Return the name of the program's socket, for errors."""
        where = f"container {self.container_id!r}" if self.container_id else "guest"
        what = f"unix socket {self.path!r}" if self.path else f"port {self.port}"
        return f"{where}: {what}"


def parse_request(line: bytes) -> ForwardRequest:
    """Parse the line, without its end. Raises `InvalidArgument`."""
    words = line.split(b" ", 2)
    if len(words) != 3 or words[0] != b"FORWARD":
        raise InvalidArgument("request: not 'FORWARD CONTAINER TARGET'")
    container, target = words[1:]
    try:
        # Whether it can be one is checked where containers are looked up.
        container_id = "" if container == GUEST else container.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidArgument("request: the container's id is not ASCII") from None
    if not container:
        raise InvalidArgument("request: no container")
    kind, colon, value = target.partition(b":")
    match kind + colon:
        case b"tcp:":
            return ForwardRequest(container_id, port=_parse_port(value))
        case b"unix:":
            return ForwardRequest(container_id, path=_parse_path(value))
    raise InvalidArgument("request: the target is neither tcp:PORT nor unix:/PATH")


def _parse_port(digits: bytes) -> int:
    if digits.isdigit() and len(digits) <= _PORT_DIGITS and 0 < int(digits) < 65536:
        return int(digits)
    raise InvalidArgument("request: the port is not a number from 1 to 65535")


def _parse_path(path: bytes) -> str:
    if not path.startswith(b"/") or b"\0" in path:
        raise InvalidArgument("request: the path is not absolute")
    if len(path) > _PATH_LIMIT:
        raise InvalidArgument(f"request: the path has over {_PATH_LIMIT} bytes")
    return os.fsdecode(path)
