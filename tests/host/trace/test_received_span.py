# SPDX-License-Identifier: Apache-2.0
"""Spans as the host reads them, from senders that may be hostile."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from kata_host.trace.received_span import (
    MAX_DEPTH,
    ReceivedSpan,
    SpanEvent,
    SpanStatus,
    Value,
    from_otlp,
)
from kata_tracing.span_kind import SpanKind

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(1, 9))


def request() -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "some-service"
    resource.scope_spans.add().spans.add(name="a.b")
    return message


def test_every_field_is_read() -> None:
    message = request()
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.trace_id, span.span_id, span.parent_span_id = TRACE, SPAN, PARENT
    span.start_time_unix_nano, span.end_time_unix_nano = 10, 25
    span.kind = span.SPAN_KIND_SERVER
    span.status.code = span.status.STATUS_CODE_ERROR
    span.attributes.add(key="n").value.int_value = 7
    event = span.events.add(name="hop", time_unix_nano=12)
    event.attributes.add(key="yes").value.bool_value = True
    span.links.add(trace_id=TRACE, span_id=PARENT)
    (found,) = from_otlp(message)
    assert found == ReceivedSpan(
        TRACE.hex(),
        SPAN.hex(),
        PARENT.hex(),
        "a.b",
        10,
        25,
        kind=SpanKind.SERVER,
        status=SpanStatus.ERROR,
        attributes={"n": 7},
        events=(SpanEvent("hop", 12, {"yes": True}),),
        links=((TRACE.hex(), PARENT.hex()),),
        service="some-service",
    )
    assert found.duration == 15


def test_values_within_values() -> None:
    message = request()
    (span,) = message.resource_spans[0].scope_spans[0].spans
    value = span.attributes.add(key="list").value.array_value.values
    value.add().double_value = 0.5
    value.add().bytes_value = b"raw"
    pair = span.attributes.add(key="map").value.kvlist_value.values.add(key="in")
    pair.value.string_value = "it"
    span.attributes.add(key="none")
    (found,) = from_otlp(message)
    assert found.attributes == {"list": [0.5, b"raw"], "map": {"in": "it"}, "none": ""}


def test_a_value_of_any_depth_is_read_to_a_bound() -> None:
    message = request()
    (span,) = message.resource_spans[0].scope_spans[0].spans
    value: AnyValue = span.attributes.add(key="deep").value
    for _ in range(50):
        value = value.array_value.values.add()
    value.string_value = "bottom"
    (found,) = from_otlp(message)
    depth, read = 0, found.attributes["deep"]
    while isinstance(read, list):
        inner: list[Value] = read
        (read,) = inner
        depth += 1
    assert read == ""
    assert depth == MAX_DEPTH + 1


def test_unknown_numbers_and_nonsense_times_do_no_harm() -> None:
    message = request()
    (span,) = message.resource_spans[0].scope_spans[0].spans
    # Kind (field 6) and, in the status (field 15), code (field 3): both 99.
    span.MergeFromString(b"\x30\x63\x7a\x02\x18\x63")
    span.start_time_unix_nano, span.end_time_unix_nano = 25, 10
    (found,) = from_otlp(message)
    assert found.kind is SpanKind.UNSPECIFIED
    assert found.status is SpanStatus.UNSET
    assert found.duration == 0


def test_a_service_name_that_is_no_text_is_left_out() -> None:
    message = request()
    message.resource_spans[0].resource.attributes[0].value.int_value = 5
    (found,) = from_otlp(message)
    assert found.service == ""
