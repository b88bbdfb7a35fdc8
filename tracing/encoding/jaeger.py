# SPDX-License-Identifier: Apache-2.0
"""Jaeger's Thrift over HTTP: each request is one `Batch` in TBinaryProtocol.

For Jaeger, and for collectors with a Jaeger receiver (`thrift_http`, port 14268).
The mapping is that of the OpenTelemetry specification, "OpenTelemetry to Jaeger
Transformation"; the structures are those of jaeger-client. Events are not mapped,
because this agent records none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind, StatusCode
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from kata_tracing import semconv
from kata_tracing.encoding import jaeger_types as thrift
from kata_tracing.encoding.encoding import JAEGER, Encoding
from kata_tracing.trace_context import SAMPLED

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

_KINDS: Final = {
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}
_NANO_PER_MICRO: Final = 1000


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return a Batch. All spans are of one resource."""
    batch = thrift.Batch(
        process=_process(spans[0].resource), spans=[_span(span) for span in spans]
    )
    buffer = TMemoryBuffer()
    # The accelerated protocol of today's thrift does not take the structures that
    # jaeger-client's old compiler generated.
    batch.write(TBinaryProtocol(buffer))
    return bytes(buffer.getvalue())


def rejected(body: bytes) -> int:
    """Jaeger takes a batch whole or not at all."""
    return 0


def _process(resource: Resource) -> Any:
    attributes = dict(resource.attributes)
    name = attributes.pop(semconv.SERVICE_NAME, "unknown_service")
    return thrift.Process(serviceName=str(name), tags=_tags(attributes))


def _span(span: ReadableSpan) -> Any:
    context = span.context
    assert context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return thrift.Span(
        traceIdLow=_signed(context.trace_id),
        traceIdHigh=_signed(context.trace_id >> 64),
        spanId=_signed(context.span_id),
        parentSpanId=_signed(span.parent.span_id) if span.parent else 0,
        operationName=span.name,
        references=[_reference(link.context) for link in span.links] or None,
        # Bit 0 only: bit 1 is "random" in W3C level 2 and "debug" in Jaeger.
        flags=int(context.trace_flags) & SAMPLED,
        startTime=span.start_time // _NANO_PER_MICRO,
        duration=(span.end_time - span.start_time) // _NANO_PER_MICRO,
        tags=_tags(span.attributes or {}) + _tags(_properties(span)),
    )


def _properties(span: ReadableSpan) -> dict[str, Any]:
    """Return as tags the values that have fields of their own in OTLP."""
    tags: dict[str, Any] = {}
    if span.kind in _KINDS:
        tags["span.kind"] = _KINDS[span.kind]
    if (scope := span.instrumentation_scope) is not None:
        tags["otel.scope.name"] = scope.name
        if scope.version:
            tags["otel.scope.version"] = scope.version
    status = span.status
    if status.status_code is not StatusCode.UNSET:
        tags["otel.status_code"] = status.status_code.name
    if status.status_code is StatusCode.ERROR:
        tags["error"] = True
    if span.context is not None and span.context.trace_state:
        tags["w3c.tracestate"] = span.context.trace_state.to_header()
    if span.dropped_attributes:
        tags["otel.dropped_attributes_count"] = span.dropped_attributes
    return tags


def _reference(context: Any) -> Any:
    return thrift.SpanRef(
        refType=thrift.SpanRefType.FOLLOWS_FROM,
        traceIdLow=_signed(context.trace_id),
        traceIdHigh=_signed(context.trace_id >> 64),
        spanId=_signed(context.span_id),
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
