# SPDX-License-Identifier: Apache-2.0
"""Stream connections that the agent makes: it dials the host's ports."""

from __future__ import annotations

import socket
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.ports.ports import Ports

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one connection to the host."""


class StreamDialer:
    """Connects to ports on which the host listens."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def open(self, port: int) -> socket.socket:
        """Connect to host port `port`. Raises `OSError`."""
        return await blocking(self._ports.connect, port, CONNECT_TIMEOUT)
