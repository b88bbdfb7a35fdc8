# SPDX-License-Identifier: Apache-2.0
"""ttrpc on asyncio.

The names are loaded on first use, so that a server does not load the client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttrpc.aio.client import Client
    from ttrpc.aio.client_stream import ClientStream
    from ttrpc.aio.opening_stream import OpeningStream
    from ttrpc.aio.served_connection import ServedConnection
    from ttrpc.aio.server import Server
    from ttrpc.aio.server_stream import ServerStream

_HOMES = {
    "Client": "ttrpc.aio.client",
    "ClientStream": "ttrpc.aio.client_stream",
    "OpeningStream": "ttrpc.aio.opening_stream",
    "ServedConnection": "ttrpc.aio.served_connection",
    "Server": "ttrpc.aio.server",
    "ServerStream": "ttrpc.aio.server_stream",
}

__all__ = [
    "Client",
    "ClientStream",
    "OpeningStream",
    "ServedConnection",
    "Server",
    "ServerStream",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
