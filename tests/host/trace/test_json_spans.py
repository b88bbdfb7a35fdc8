# SPDX-License-Identifier: Apache-2.0
"""What `kata-trace-forwarder` writes is read as what the guest sent."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.forwarder.json_lines import to_json
from kata_host.trace.json_spans import from_otlp_json
from kata_host.trace.received_span import MAX_DEPTH, from_otlp


def request() -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "some-service"
    span = resource.scope_spans.add().spans.add(
        name="a.b\u2028</script>",
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        parent_span_id=bytes(range(1, 9)),
        start_time_unix_nano=2**64 - 1,
        end_time_unix_nano=10,
        kind=2,
    )
    span.status.code = span.status.STATUS_CODE_ERROR
    span.attributes.add(key="text").value.string_value = "x"
    span.attributes.add(key="yes").value.bool_value = True
    span.attributes.add(key="number").value.int_value = -(2**63)
    span.attributes.add(key="half").value.double_value = 0.5
    span.attributes.add(key="endless").value.double_value = math.inf
    span.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    span.attributes.add(key="none")
    items = span.attributes.add(key="list").value.array_value
    items.values.add().string_value = "one"
    pair = items.values.add().kvlist_value.values.add(key="k")
    for _ in range(MAX_DEPTH):
        pair = pair.value.kvlist_value.values.add(key="k")
    pair.value.string_value = "too deep"
    event = span.events.add(name="e", time_unix_nano=7)
    event.attributes.add(key="a").value.int_value = 1
    span.links.add(trace_id=bytes(16), span_id=bytes(8))
    message.resource_spans.add().scope_spans.add().spans.add(name="bare", kind=99)
    return message


def test_what_the_forwarder_wrote_is_read_back() -> None:
    assert list(from_otlp_json(to_json(request()))) == list(from_otlp(request()))


def test_what_is_no_number_stays_none() -> None:
    message = request()
    value = message.resource_spans[0].scope_spans[0].spans[0].attributes[3].value
    value.double_value = math.nan
    first, _ = from_otlp_json(to_json(message))
    half = first.attributes["half"]
    assert isinstance(half, float)
    assert math.isnan(half)


def of_span(**fields: Any) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"resourceSpans": 3}',
        '{"resourceSpans": [3]}',
        '{"resourceSpans": ' + "[" * 5000 + "]" * 5000 + "}",
        of_span(name=3),
        of_span(traceId="<b>"),
        of_span(spanId=7),
        of_span(startTimeUnixNano="-1"),
        of_span(startTimeUnixNano="9" * 5000),
        of_span(endTimeUnixNano=2**64),
        of_span(endTimeUnixNano=math.nan),
        of_span(attributes={"a": 1}),
        of_span(attributes=[{"key": "a", "value": {"intValue": "x"}}]),
        of_span(attributes=[{"key": "a", "value": {"stringValue": 1}}]),
        of_span(attributes=[{"key": "a", "value": {"bytesValue": "%"}}]),
        of_span(attributes=[{"key": "a", "value": {"doubleValue": "wide"}}]),
        of_span(status="bad"),
    ],
)
def test_what_is_not_otlp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        list(from_otlp_json(text))


def test_unknown_fields_are_passed_over() -> None:
    (span,) = from_otlp_json(of_span(name="a", flags=1, novelty={"x": [1]}))
    assert span.name == "a"
