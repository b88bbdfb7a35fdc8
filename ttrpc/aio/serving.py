# SPDX-License-Identifier: Apache-2.0
"""What a server and the sessions of its connections have in common."""

from __future__ import annotations

from collections.abc import Callable

from ttrpc.errors import StatusError
from ttrpc.limits import Limits
from ttrpc.quota import Quota
from ttrpc.routes import Routes


class Serving:
    """The routes and the limits of one server, and how far the limits are used."""

    __slots__ = (
        "calls_in_flight",
        "held",
        "limits",
        "routes",
        "status_of",
        "unread",
    )

    def __init__(
        self,
        routes: Routes,
        limits: Limits,
        status_of: Callable[[BaseException], StatusError],
    ) -> None:
        self.routes = routes
        self.limits = limits
        self.status_of = status_of
        """Maps an exception of a handler to the status that its caller sees."""
        self.calls_in_flight = 0
        """The calls of all sessions that have a task."""
        self.held = Quota(limits.held)
        self.unread = Quota(limits.queued)
