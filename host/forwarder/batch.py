# SPDX-License-Identifier: Apache-2.0
"""What goes from the server to a sink, and what comes back."""

from __future__ import annotations

import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Route:
    """A request that is let through."""

    target: str
    """As it is sent on, whatever query the guest wrote."""
    content_types: frozenset[str]


OTLP: Final = Route("/v1/traces", frozenset({"application/x-protobuf"}))
JAEGER: Final = Route(
    "/api/traces?format=jaeger.thrift",
    frozenset({"application/vnd.apache.thrift.binary", "application/x-thrift"}),
)
ROUTES: Final[Mapping[str, Route]] = {"/v1/traces": OTLP, "/api/traces": JAEGER}


@dataclass(frozen=True, slots=True)
class Batch:
    """The body of a request that passed all limits; not yet decoded."""

    route: Route
    content_type: str
    body: bytes
    origin: str
    """The listener it came in by."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the guest is told."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        try:
            return http.HTTPStatus(self.status).phrase
        except ValueError:
            return "Unknown"


TAKEN: Final = Answer(200, {"Content-Type": "application/x-protobuf"})
"""An empty ExportTraceServiceResponse: "full success"."""
AGAIN: Final = Answer(503, {"Retry-After": "1"})
"""Keep it and come again: the guest's spool is the only queue."""


class Sink(Protocol):
    """Where batches go."""

    async def take(self, batch: Batch) -> Answer:
        """Store or pass on a batch, and say what to answer. Raises nothing."""
