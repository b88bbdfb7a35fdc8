# SPDX-License-Identifier: Apache-2.0
"""ttrpc for Python: the protocol without I/O.

`ttrpc.aio` has a server and a client on asyncio, `ttrpc.sync` a client that blocks.
The names below are loaded on first use, so that importing one module does not load
all the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ttrpc.version import VERSION as __version__

if TYPE_CHECKING:
    from ttrpc.address import parse_address
    from ttrpc.bound_service import BoundService, bind
    from ttrpc.call_context import CallContext, Peer, PeerCredentials
    from ttrpc.codes import Code
    from ttrpc.counters import ClientCounters, Counters
    from ttrpc.deadline import Deadline
    from ttrpc.errors import (
        Closed,
        LocalProtocolError,
        OversizedMessage,
        ProtocolError,
        RemoteProtocolError,
        ServerClosed,
        StatusError,
        StreamClosed,
        StreamFull,
        TtrpcError,
    )
    from ttrpc.frame import Flags, Frame, MessageType
    from ttrpc.interceptor import Interceptor, Proceed, eager
    from ttrpc.late_service import LateService
    from ttrpc.limits import Limits
    from ttrpc.metadata import Metadata
    from ttrpc.raw import Raw
    from ttrpc.service import Cardinality, Method, Service
    from ttrpc.status import to_status
    from ttrpc.stream_watcher import StreamWatcher

_MODULES = {
    "ttrpc.address": ("parse_address",),
    "ttrpc.bound_service": ("BoundService", "bind"),
    "ttrpc.codes": ("Code",),
    "ttrpc.counters": ("ClientCounters", "Counters"),
    "ttrpc.call_context": ("CallContext", "Peer", "PeerCredentials"),
    "ttrpc.deadline": ("Deadline",),
    "ttrpc.errors": (
        "Closed",
        "LocalProtocolError",
        "OversizedMessage",
        "ProtocolError",
        "RemoteProtocolError",
        "ServerClosed",
        "StatusError",
        "StreamClosed",
        "StreamFull",
        "TtrpcError",
    ),
    "ttrpc.frame": ("Flags", "Frame", "MessageType"),
    "ttrpc.interceptor": ("Interceptor", "Proceed", "eager"),
    "ttrpc.late_service": ("LateService",),
    "ttrpc.limits": ("Limits",),
    "ttrpc.metadata": ("Metadata",),
    "ttrpc.raw": ("Raw",),
    "ttrpc.service": ("Cardinality", "Method", "Service"),
    "ttrpc.status": ("to_status",),
    "ttrpc.stream_watcher": ("StreamWatcher",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "__version__",
    "BoundService",
    "CallContext",
    "Cardinality",
    "ClientCounters",
    "Closed",
    "Code",
    "Counters",
    "Deadline",
    "Flags",
    "Frame",
    "Interceptor",
    "LateService",
    "Limits",
    "LocalProtocolError",
    "MessageType",
    "Metadata",
    "Method",
    "OversizedMessage",
    "Peer",
    "PeerCredentials",
    "Proceed",
    "ProtocolError",
    "Raw",
    "RemoteProtocolError",
    "ServerClosed",
    "Service",
    "StatusError",
    "StreamClosed",
    "StreamFull",
    "StreamWatcher",
    "TtrpcError",
    "bind",
    "eager",
    "parse_address",
    "to_status",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
