# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP with protobuf bodies: what every collector of today takes.

The encoder and the messages are OpenTelemetry's own. The low bits of `flags`, W3C's, it
leaves out: what is sent was sampled.

Source: OpenTelemetry Protocol Specification 1.x, "OTLP/HTTP";
opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from kata_tracing.encoding.encoding import OTLP, Encoding

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return an ExportTraceServiceRequest."""
    return encode_spans(spans).SerializeToString()


def rejected(body: bytes) -> int:
    """Return how many spans an answer of 200 refuses, 0 when it cannot be read.

    "Full success" is an empty message, and some servers send no message at all.
    """
    try:
        answer = ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return 0
    return max(0, answer.partial_success.rejected_spans)


ENCODING: Final = Encoding(
    name=OTLP,
    path="/v1/traces",
    content_type="application/x-protobuf",
    taken=frozenset({200}),
    encode=encode,
    rejected=rejected,
)
