# SPDX-License-Identifier: Apache-2.0
"""How the agent gets the connection of a stream: `StreamDialer` or `StreamListener`."""

from __future__ import annotations

import socket
from typing import Protocol


class StreamSource(Protocol):
    """Gives out one connection for each port of the host."""

    async def open(self, port: int) -> socket.socket:
        """Return the connection with host port `port`. Raises `OSError`."""
        ...
