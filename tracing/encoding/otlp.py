# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP with protobuf bodies: what every collector of today takes.

The messages are OpenTelemetry's own. Source: OpenTelemetry Protocol Specification
1.x, "OTLP/HTTP"; opentelemetry/proto/trace/v1/trace.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tracing.data import SCOPE, Resource, SpanData
from tracing.encoding import OTLP, Encoding
from tracing.propagation import SAMPLED, TraceContext
from tracing.record import Status

HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200
"""Bits of `flags`, above W3C's eight (trace.proto, SpanFlags)."""


def encode(resource: Resource, spans: Sequence[SpanData]) -> bytes:
    """Return an ExportTraceServiceRequest."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    _add(of_resource.resource.attributes, resource.attributes)
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = SCOPE
    of_scope.scope.version = resource.version
    for span in spans:
        _add_span(of_scope.spans, span)
    return request.SerializeToString()


def _add_span(spans: Any, span: SpanData) -> None:
    context = span.context
    message = spans.add(
        trace_id=context.trace_id.to_bytes(16),
        span_id=context.span_id.to_bytes(8),
        trace_state=context.tracestate,
        flags=SAMPLED | HAS_IS_REMOTE | (IS_REMOTE if span.has_remote_parent else 0),
        name=span.name,
        kind=span.kind,
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        dropped_attributes_count=span.dropped_attributes,
        dropped_events_count=span.dropped_events,
    )
    if span.parent_id:
        message.parent_span_id = span.parent_id.to_bytes(8)
    if span.failed:
        message.status.code = Status.ERROR
    _add(message.attributes, span.attributes)
    for event in span.events:
        of_event = message.events.add(name=event.name, time_unix_nano=event.time)
        _add(of_event.attributes, event.attributes)
    for link in span.links:
        _add_link(message.links, link)


def _add_link(links: Any, link: TraceContext) -> None:
    links.add(
        trace_id=link.trace_id.to_bytes(16),
        span_id=link.span_id.to_bytes(8),
        flags=HAS_IS_REMOTE | (SAMPLED if link.sampled else 0),
    )


def _add(pairs: Any, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        _set(pairs.add(key=key).value, value)


def _set(target: Any, value: Any) -> None:
    match value:
        case str():
            target.string_value = value
        case bool():
            target.bool_value = value
        case int():
            target.int_value = value
        case float():
            target.double_value = value
        case _:
            for item in value:
                _set(target.array_value.values.add(), item)


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
