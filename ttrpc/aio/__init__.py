# SPDX-License-Identifier: Apache-2.0
"""ttrpc on asyncio.

The names are loaded on first use, so that a server does not load the client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttrpc.aio.byte_stream import ByteStream
    from ttrpc.aio.client import Client
    from ttrpc.aio.client_stream import ClientStream
    from ttrpc.aio.mux import Mux
    from ttrpc.aio.opening_stream import OpeningStream
    from ttrpc.aio.pipes import Pipes
    from ttrpc.aio.served_connection import ServedConnection
    from ttrpc.aio.server import Server
    from ttrpc.aio.server_stream import ServerStream
    from ttrpc.aio.stream_pair import StreamPair

_HOMES = {
    "ByteStream": "ttrpc.aio.byte_stream",
    "Client": "ttrpc.aio.client",
    "ClientStream": "ttrpc.aio.client_stream",
    "Mux": "ttrpc.aio.mux",
    "OpeningStream": "ttrpc.aio.opening_stream",
    "Pipes": "ttrpc.aio.pipes",
    "ServedConnection": "ttrpc.aio.served_connection",
    "Server": "ttrpc.aio.server",
    "ServerStream": "ttrpc.aio.server_stream",
    "StreamPair": "ttrpc.aio.stream_pair",
}

__all__ = [
    "ByteStream",
    "Client",
    "ClientStream",
    "Mux",
    "OpeningStream",
    "Pipes",
    "ServedConnection",
    "Server",
    "ServerStream",
    "StreamPair",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
