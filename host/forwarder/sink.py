# SPDX-License-Identifier: Apache-2.0
"""The Protocol of a sink: an object that takes batches from the forwarder."""

from __future__ import annotations

import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from kata_host.forwarder.received_batch import ReceivedBatch


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The HTTP response that the guest gets to a batch."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """The reason phrase of the status."""
        try:
            return http.HTTPStatus(self.status).phrase
        except ValueError:
            return "Unknown"


TAKEN: Final = BatchResponse(200, {"Content-Type": "application/x-protobuf"})
"""An empty ExportTraceServiceResponse: "full success"."""
TRY_AGAIN: Final = BatchResponse(503, {"Retry-After": "1"})
"""The guest keeps the batch and sends it again; its spool is the only queue."""


class Sink(Protocol):
    """A relay, a file, both, or a receiver."""

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        """Keep a batch or pass it on, and return the guest's response. Never raises."""
