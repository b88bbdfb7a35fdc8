# SPDX-License-Identifier: Apache-2.0
"""The first line on a hybrid-vsock socket: the client names a port of the guest.

    client  ->  CONNECT 1024\\n         the port in decimal; upper or lower case
    client  <-  OK 1073741824\\n        connected: from here on the guest's bytes follow
    client  <-  (closed, no text)      nothing listens there, or the line was invalid

This is the protocol of Firecracker, Cloud Hypervisor and Dragonball (Firecracker,
docs/vsock.md, "Host-Initiated Connections").
"""

from __future__ import annotations

import re
from typing import Final

COMMAND_LIMIT: Final = 32
"""Bytes of a command, including its newline. Firecracker has the same limit."""
FIRST_HOST_PORT: Final = 1 << 30
"""The number in the first `OK`. Firecracker starts at the same number."""
CONNECTIONS_LIMIT: Final = 1023
"""Connections at a time; one more is accepted and closed, as Firecracker does."""
SOCKET_MODE: Final = 0o600
"""Of the socket's file: whoever may write to it has the guest, and a shell in it."""
BACKLOG: Final = 128
"""Connections that may wait to be accepted (man 2 listen)."""

_COMMAND = re.compile(rb"connect (\d{1,10})\n", re.IGNORECASE)


def parse_command(line: bytes) -> int:
    """Return the port that a `CONNECT` line names. Raises `ValueError`."""
    match = _COMMAND.fullmatch(line)
    if match is None:
        raise ValueError(f"hybrid vsock: invalid command {line!r}")
    port = int(match[1])
    if port >= 1 << 32:
        raise ValueError(f"hybrid vsock: port {port} exceeds 32 bits")
    return port


def format_ok(host_port: int) -> bytes:
    """Return the line that tells the client that the guest is connected."""
    return b"OK %d\n" % host_port
