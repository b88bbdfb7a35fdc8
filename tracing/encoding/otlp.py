# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP with protobuf bodies, which every collector of today takes.

The encoder and the messages are OpenTelemetry's own. The encoder leaves out the low
bits of `flags`, which are W3C's, so they are set here: without them a span says that it
is not sampled.

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
    from opentelemetry.trace import SpanContext


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return an ExportTraceServiceRequest."""
    request = encode_spans(spans)
    contexts = {_key(span.context): span for span in spans}
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for encoded in of_scope.spans:
                span = contexts[encoded.trace_id, encoded.span_id]
                encoded.flags |= span.context.trace_flags
                for link, source in zip(encoded.links, span.links, strict=True):
                    link.flags |= source.context.trace_flags
    return request.SerializeToString()


def _key(context: SpanContext) -> tuple[bytes, bytes]:
    """Return the ids of a span as its message has them."""
    return context.trace_id.to_bytes(16), context.span_id.to_bytes(8)


def rejected(body: bytes) -> int:
    """Return how many spans a response of 200 rejects, 0 if it cannot be read.

    "Full success" is an empty message, and some servers send no message at all.
    """
    try:
        response = ExportTraceServiceResponse.FromString(body)
    except DecodeError:
        return 0
    return max(0, response.partial_success.rejected_spans)


ENCODING: Final = Encoding(
    name=OTLP,
    path="/v1/traces",
    content_type="application/x-protobuf",
    taken=frozenset({200}),
    encode=encode,
    rejected=rejected,
)
