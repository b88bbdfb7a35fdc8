# SPDX-License-Identifier: Apache-2.0
"""A batch of spans as a guest sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class BatchFormat:
    """A form of batch that guests may send, and the request that carries it."""

    target: str
    """Path and query to send it on by, whatever query the guest wrote."""
    content_types: frozenset[str]


OTLP: Final = BatchFormat("/v1/traces", frozenset({"application/x-protobuf"}))
JAEGER: Final = BatchFormat(
    "/api/traces?format=jaeger.thrift",
    frozenset({"application/vnd.apache.thrift.binary", "application/x-thrift"}),
)
FORMATS: Final[Mapping[str, BatchFormat]] = {"/v1/traces": OTLP, "/api/traces": JAEGER}
"""By the path of the request."""


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """The body of a request that passed all limits; not yet decoded."""

    format: BatchFormat
    content_type: str
    body: bytes
    origin: str
    """The listener by which it came, and on vsock the guest's context id."""
