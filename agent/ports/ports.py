# SPDX-License-Identifier: Apache-2.0
"""The way to listen on guest ports and to connect to host ports."""

from __future__ import annotations

import socket
from typing import Final, Protocol

BACKLOG: Final = 512
"""Connections that may wait to be accepted (man 2 listen)."""


class Ports(Protocol):
    """Listens on guest ports and connects to host ports."""

    def listen(self, port: int) -> socket.socket:
        """Return a nonblocking listening stream socket for guest port `port`.

        Raises `OSError` when the port is taken, or when there are no ports yet.
        """

    def connect(self, port: int, timeout: float) -> socket.socket:
        """Return a stream socket to host port `port`, with this timeout in seconds.

        Blocks for up to `timeout` seconds. Raises `OSError` when no program listens.
        """
