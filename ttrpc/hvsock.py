# SPDX-License-Identifier: Apache-2.0
"""The handshake of a hybrid vsock: a VMM's unix socket that leads into its guest.

The client asks for a port of the guest. The VMM answers with a line, or hangs up:

    CONNECT 1024\\n      ->
                        <-   OK 1073741824\\n

The number in the answer is ignored, because it is the host's port in Firecracker and
Cloud Hypervisor but the guest's in vhost-device-vsock. The client must not send before
the answer (vhost-device-vsock loses those bytes), and must send the command in one
write (Firecracker reads once).
"""

from __future__ import annotations

from typing import Final

from ttrpc.errors import RemoteProtocolError

COMMAND_LIMIT: Final = 32
"""Bytes of a command, at most; Firecracker reads no more."""
REPLY_LIMIT: Final = 32
"""Bytes of the answer, at most; `OK 4294967295` and its newline are 14."""


def connect_command(port: int) -> bytes:
    """Return the line that asks for `port` of the guest."""
    return b"CONNECT %d\n" % port


def parse_connect_command(line: bytes) -> int:
    """Return the port that a command asks for; its word may be in lower case.

    Raises:
        ValueError: `line` is not a command.
    """
    word, _, number = line.removesuffix(b"\n").partition(b" ")
    is_command = word.upper() == b"CONNECT" and line.endswith(b"\n")
    if not is_command or not number.isdigit() or len(number) > 10:
        raise ValueError(f"hybrid vsock: invalid command {line!r}")
    if (port := int(number)) >= 1 << 32:
        raise ValueError(f"hybrid vsock: port {port} exceeds 32 bits")
    return port


def is_reply_complete(reply: bytes) -> bool:
    """Tell whether `reply` is the whole answer.

    Receive byte by byte until it is, because the bytes behind it belong to the guest.

    Raises:
        RemoteProtocolError: `reply` does not begin an answer of a VMM.
    """
    complete = reply.endswith(b"\n")
    if complete and not reply.startswith(b"OK "):
        raise RemoteProtocolError(f"hybrid vsock: answered {reply!r}")
    if not complete and len(reply) >= REPLY_LIMIT:
        raise RemoteProtocolError(f"hybrid vsock: endless answer {reply!r}")
    return complete
