# SPDX-License-Identifier: Apache-2.0
"""Ending one direction of a unix socket so that the other side notices."""

from __future__ import annotations

import socket
from typing import Final

_PIECE: Final = 64 * 1024


def stop_receiving(receiver: socket.socket) -> None:
    """Make the peer's sends fail, also a send that waits for room right now.

    A shutdown does not wake a sender that waits because the queue is full
    (net/unix/af_unix.c, unix_shutdown), so what is queued is read and dropped.
    `receiver` must not block. Raises `OSError`, for example when the peer is gone.
    """
    receiver.shutdown(socket.SHUT_RD)
    while receiver.recv(_PIECE):
        pass
