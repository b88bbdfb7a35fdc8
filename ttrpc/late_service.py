# SPDX-License-Identifier: Apache-2.0
"""A service that is made by the first request for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ttrpc.bound_service import BoundService


class LateService(NamedTuple):
    """The name of a service, and the function that makes it.

    A server can then answer for other services before what this one needs is imported.
    """

    name: str
    """The full name, `grpc.AgentService`."""
    open: Callable[[], BoundService]
    """Called by the server, on the event loop. A request for which it raises an
    exception fails with that, and the next one calls it again."""
