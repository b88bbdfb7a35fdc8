# SPDX-License-Identifier: Apache-2.0
"""The state that a server shares with the sessions of its connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ttrpc.call_counts import CallCounts
from ttrpc.errors import StatusError
from ttrpc.limits import Limits
from ttrpc.quota import Quota
from ttrpc.routes import Routes


@dataclass(slots=True, eq=False)
class Serving:
    """The routes and the limits of one server, and how far the limits are used."""

    routes: Routes
    limits: Limits
    status_of: Callable[[BaseException], StatusError]
    """Maps an exception of a handler to the status that its caller sees."""
    held: Quota
    """Bytes of requests in flight and of unread messages."""
    unread: Quota
    """Bytes to send that peers have not read."""
    counts: CallCounts
    """The calls of all sessions."""
    calls_in_flight: int = 0
    """The calls of all sessions that have a task."""
    bytes_received: int = 0
    """Of the connections that have ended."""
    bytes_sent: int = 0
