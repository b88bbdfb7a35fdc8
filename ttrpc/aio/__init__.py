# SPDX-License-Identifier: Apache-2.0
"""ttrpc on asyncio, with sockets of its own."""

from __future__ import annotations

from ttrpc.aio.client import Client
from ttrpc.aio.client_stream import ClientStream
from ttrpc.aio.server import Server
from ttrpc.aio.server_stream import ServerStream

__all__ = ["Client", "ClientStream", "Server", "ServerStream"]
