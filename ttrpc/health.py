# SPDX-License-Identifier: Apache-2.0
"""The service grpc.health.v1.Health, by which supervisors ask whether a server works.

    health = Health()
    server = Server([bind(ECHO, Echo()), health.bound], stopping=health.shutdown)
    health.set_status("demo.Echo", NOT_SERVING)

    answer = await client.call(CHECK, HealthCheckRequest(service="demo.Echo"))

Its interface is that of gRPC's health checking protocol (grpc/doc/health-checking.md).
ttrpc's Go and Rust libraries have no such service; programs bring their own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ttrpc.bound_service import BoundService, bind
from ttrpc.codes import Code
from ttrpc.errors import StatusError, sanitize
from ttrpc.health_pb2 import HealthCheckRequest, HealthCheckResponse
from ttrpc.service import Cardinality, Method, Service

if TYPE_CHECKING:
    from ttrpc.aio.server_stream import ServerStream
    from ttrpc.call_context import CallContext

NAME: Final = "grpc.health.v1.Health"
SERVING: Final = HealthCheckResponse.SERVING
"""The status of a service that works."""
NOT_SERVING: Final = HealthCheckResponse.NOT_SERVING
"""The status of a service that takes no calls, because it starts, fails or stops."""
SERVICE_UNKNOWN: Final = HealthCheckResponse.SERVICE_UNKNOWN
"""The status that a watch sends for a service without one."""

CHECK: Final = Method(
    "Check", NAME, Cardinality.UNARY_UNARY, HealthCheckRequest, HealthCheckResponse
)
"""The method that asks for a status once; `Client.call` takes it."""
WATCH: Final = Method(
    "Watch", NAME, Cardinality.UNARY_STREAM, HealthCheckRequest, HealthCheckResponse
)
"""The method that sends a status now and after each change: a stream."""
HEALTH: Final = Service(NAME, {"Check": CHECK, "Watch": WATCH})
"""The service, of `CHECK` and `WATCH`."""

__all__ = [
    "CHECK",
    "HEALTH",
    "NOT_SERVING",
    "SERVICE_UNKNOWN",
    "SERVING",
    "WATCH",
    "Health",
    "HealthCheckRequest",
    "HealthCheckResponse",
]


class Health:
    """Answers with the statuses that the program has set, on one event loop.

    At first the server as a whole, the service "", is SERVING, and no other is known.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, HealthCheckResponse.ServingStatus] = {"": SERVING}
        self._changed: asyncio.Future[None] | None = None
        """What all watches wait for; None while there are none."""
        self._has_shut_down = False

    @property
    def bound(self) -> BoundService:
        """The service, for a server to serve."""
        return bind(HEALTH, self)

    def set_status(
        self, service: str, status: HealthCheckResponse.ServingStatus
    ) -> None:
        """Set the status of a service, and tell those that watch.

        Another thread calls it by `loop.call_soon_threadsafe`. After `shutdown` it has
        no effect.

        Args:
            service: The full name; "" is the server as a whole.
            status: SERVING or NOT_SERVING.

        Raises:
            ValueError: `status` is neither.
        """
        if status not in (SERVING, NOT_SERVING):
            raise ValueError(f"status {status}: neither SERVING nor NOT_SERVING")
        if not self._has_shut_down:
            self._statuses[service] = status
            self._tell()

    def shutdown(self) -> None:
        """Make every service NOT_SERVING from now on, and end the watches.

        Otherwise a server that shuts down would wait for them until its timeout.
        """
        self._has_shut_down = True
        self._statuses = dict.fromkeys(self._statuses, NOT_SERVING)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set_result(None)

    def check(
        self, request: HealthCheckRequest, context: CallContext
    ) -> HealthCheckResponse:
        """Answer with the status of a service; NOT_FOUND if it is not known."""
        status = self._statuses.get(request.service)
        if status is None:
            name = sanitize(request.service)
            raise StatusError(Code.NOT_FOUND, f"service {name!r}: unknown")
        return HealthCheckResponse(status=status)

    async def watch(
        self,
        stream: ServerStream[HealthCheckRequest, HealthCheckResponse],
        context: CallContext,
    ) -> None:
        """Send the status now and after each change, until the caller has gone.

        A caller that reads slowly misses statuses between, never the last one.
        """
        request = await stream.recv()
        service = "" if request is None else request.service
        sent = None
        while True:
            status = self._statuses.get(service, SERVICE_UNKNOWN)
            if status != sent:
                await stream.send(HealthCheckResponse(status=status))
                sent = status
            elif self._has_shut_down:
                raise StatusError(Code.UNAVAILABLE, "server: is shutting down")
            else:
                if self._changed is None:
                    self._changed = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._changed)
