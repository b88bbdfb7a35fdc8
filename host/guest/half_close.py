# SPDX-License-Identifier: Apache-2.0
"""Ending one direction of a unix socket so that the peer notices."""

from __future__ import annotations

import socket
from typing import Final

_READ_SIZE: Final = 64 * 1024


def stop_receiving(receiver: socket.socket) -> None:
    """Make the peer's sends fail, including a send that is waiting for room right now.

    Unread data is read and dropped, because a shutdown alone does not wake a sender
    that waits for room in a full queue (net/unix/af_unix.c, unix_shutdown). `receiver`
    must be nonblocking. Raises `OSError`, for example if the peer has closed.
    """
    receiver.shutdown(socket.SHUT_RD)
    while receiver.recv(_READ_SIZE):
        pass
