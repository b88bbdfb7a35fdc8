# SPDX-License-Identifier: Apache-2.0
"""Our OTLP is that of OpenTelemetry's own exporter, field for field."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.tracing.encoding.samples import samples
from tracing.encoding import load


def plain(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Take away what the exporter leaves out, W3C's flags, or says at length."""
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.flags &= ~0xFF
        for link in span.links:
            link.flags &= ~0xFF
        if not span.status.code:
            span.ClearField("status")
    return request


def test_it_is_the_exporters() -> None:
    ours = ExportTraceServiceRequest.FromString(load("otlp").encode(samples()))
    spans = ours.resource_spans[0].scope_spans[0].spans
    assert [span.flags & 0xFF for span in spans] == [3, 1]
    assert [span.dropped_attributes_count for span in spans] == [1, 0]
    assert plain(ours) == plain(encode_spans(samples()))


def test_what_a_collector_says_it_did_not_take() -> None:
    rejected = load("otlp").rejected
    assert rejected(b"") == 0
    assert rejected(b"\x0a\x02\x08\x03") == 3
    assert rejected(b"<html>") == 0
    # A negative count, as a hostile host may send it.
    assert rejected(b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01") == 0
