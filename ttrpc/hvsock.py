# SPDX-License-Identifier: Apache-2.0
"""The handshake of a hybrid vsock: a VMM's unix socket that leads into its guest.

The client asks for a guest port, the VMM answers with a line or hangs up:

    CONNECT 1024\\n      ->
                        <-   OK 1073741824\\n

The number is the host's port in Firecracker and Cloud Hypervisor, the guest's in
vhost-device-vsock, so it is not looked at. Nothing may be sent before the answer
(vhost-device-vsock loses it), and the command must go out in one write
(Firecracker reads once).
"""

from __future__ import annotations

from typing import Final

from ttrpc.errors import RemoteProtocolError

REPLY_LIMIT: Final = 32
"""Bytes of the answer; `OK 4294967295` and its newline are 14."""


def connect_command(port: int) -> bytes:
    return b"CONNECT %d\n" % port


def is_reply_complete(reply: bytes) -> bool:
    """Tell whether `reply` is the whole answer.

    Read it byte by byte until it is, so that nothing behind it is swallowed.

    Raises:
        RemoteProtocolError: it is not what a VMM answers.
    """
    complete = reply.endswith(b"\n")
    if complete and not reply.startswith(b"OK "):
        raise RemoteProtocolError(f"hybrid vsock: answered {reply!r}")
    if not complete and len(reply) >= REPLY_LIMIT:
        raise RemoteProtocolError(f"hybrid vsock: endless answer {reply!r}")
    return complete
