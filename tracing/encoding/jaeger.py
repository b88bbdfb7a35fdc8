# SPDX-License-Identifier: Apache-2.0
"""Jaeger's Thrift over HTTP: one `Batch` in TBinaryProtocol a request.

For Jaeger, and for collectors with a Jaeger receiver (`thrift_http`, port 14268).
The mapping is that of the OpenTelemetry specification, "OpenTelemetry to Jaeger
Transformation"; the structures are those of jaeger-client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from tracing import semconv
from tracing.data import SCOPE, Resource, SpanData
from tracing.encoding import JAEGER, Encoding
from tracing.encoding import jaeger_types as thrift
from tracing.propagation import SAMPLED, TraceContext
from tracing.record import Kind

_NANO_PER_MICRO: Final = 1000


def encode(resource: Resource, spans: Sequence[SpanData]) -> bytes:
    """Return a Batch."""
    batch = thrift.Batch(
        process=_process(resource), spans=[_span(resource, span) for span in spans]
    )
    buffer = TMemoryBuffer()
    # Not the accelerated protocol: today's thrift does not take the structures
    # that jaeger-client's old compiler generated.
    batch.write(TBinaryProtocol(buffer))
    return bytes(buffer.getvalue())


def rejected(body: bytes) -> int:
    """Jaeger takes a batch whole or not at all."""
    return 0


def _process(resource: Resource) -> Any:
    attributes = dict(resource.attributes)
    name = attributes.pop(semconv.SERVICE_NAME, semconv.SERVICE)
    return thrift.Process(serviceName=str(name), tags=_tags(attributes))


def _span(resource: Resource, span: SpanData) -> Any:
    context = span.context
    return thrift.Span(
        traceIdLow=_signed(context.trace_id),
        traceIdHigh=_signed(context.trace_id >> 64),
        spanId=_signed(context.span_id),
        parentSpanId=_signed(span.parent_id),
        operationName=span.name,
        references=[_reference(link) for link in span.links] or None,
        flags=SAMPLED,
        startTime=span.start // _NANO_PER_MICRO,
        duration=(span.end - span.start) // _NANO_PER_MICRO,
        tags=_tags(span.attributes) + _tags(_properties(resource, span)),
        logs=[
            thrift.Log(
                timestamp=event.time // _NANO_PER_MICRO,
                fields=[_tag("event", event.name), *_tags(event.attributes)],
            )
            for event in span.events
        ]
        or None,
    )


def _properties(resource: Resource, span: SpanData) -> dict[str, Any]:
    """What OTLP has fields for and Jaeger has only tags."""
    found: dict[str, Any] = {"otel.scope.name": SCOPE}
    if resource.version:
        found["otel.scope.version"] = resource.version
    if span.kind is not Kind.INTERNAL:
        found["span.kind"] = span.kind.name.lower()
    if span.failed:
        found |= {"otel.status_code": "ERROR", "error": True}
    if span.context.tracestate:
        found["w3c.tracestate"] = span.context.tracestate
    if span.dropped_attributes:
        found["otel.dropped_attributes_count"] = span.dropped_attributes
    if span.dropped_events:
        found["otel.dropped_events_count"] = span.dropped_events
    return found


def _reference(link: TraceContext) -> Any:
    return thrift.SpanRef(
        refType=thrift.SpanRefType.FOLLOWS_FROM,
        traceIdLow=_signed(link.trace_id),
        traceIdHigh=_signed(link.trace_id >> 64),
        spanId=_signed(link.span_id),
    )


def _tags(attributes: Mapping[str, Any]) -> list[Any]:
    return [_tag(key, value) for key, value in attributes.items()]


def _tag(key: str, value: Any) -> Any:
    kind = thrift.TagType
    match value:
        case bool():
            return thrift.Tag(key=key, vType=kind.BOOL, vBool=value)
        case int():
            return thrift.Tag(key=key, vType=kind.LONG, vLong=_signed(value))
        case float():
            return thrift.Tag(key=key, vType=kind.DOUBLE, vDouble=value)
        case str():
            return thrift.Tag(key=key, vType=kind.STRING, vStr=value)
        case _:
            text = json.dumps(list(value))
            return thrift.Tag(key=key, vType=kind.STRING, vStr=text)


def _signed(number: int) -> int:
    """Return the low 64 bits as Thrift's signed i64."""
    low = number & (1 << 64) - 1
    return low - (1 << 64) if low >> 63 else low


ENCODING: Final = Encoding(
    name=JAEGER,
    path="/api/traces?format=jaeger.thrift",
    content_type="application/vnd.apache.thrift.binary",
    taken=frozenset({200, 202}),
    encode=encode,
    rejected=rejected,
)
