# SPDX-License-Identifier: Apache-2.0
"""Every field of a span is in its OTLP."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.trace.received_span import from_otlp
from kata_tracing.encoding.load_encoding import load_encoding
from tests.tracing.encoding.samples import RESOURCE, TRACE, samples


def test_every_field_is_encoded() -> None:
    request = ExportTraceServiceRequest.FromString(
        load_encoding("otlp").encode(samples())
    )
    (of_resource,) = request.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert {it.key for it in of_resource.resource.attributes} > set(RESOURCE)
    assert (of_scope.scope.name, of_scope.scope.version) == ("kata-agent", "9")
    call, step = of_scope.spans
    trace = TRACE.to_bytes(16)
    assert (call.trace_id, step.trace_id) == (trace, trace)
    assert call.span_id == step.parent_span_id == 0xFEDCBA9876543210.to_bytes(8)
    assert call.parent_span_id == 0xF0.to_bytes(8)
    assert (call.trace_state, step.trace_state) == ("vendor=x", "")
    # has_is_remote and is_remote, bits of trace.proto's SpanFlags, and W3C's sampled.
    assert (call.flags, step.flags) == (0x301, 0x101)
    assert [link.flags for link in call.links] == [0x101]
    assert (call.kind, step.kind) == (call.SPAN_KIND_SERVER, call.SPAN_KIND_INTERNAL)
    assert call.status.code == call.status.STATUS_CODE_ERROR
    assert step.status.code == call.status.STATUS_CODE_UNSET
    assert (call.dropped_attributes_count, step.dropped_attributes_count) == (4, 0)
    read, _ = from_otlp(request)
    assert (read.start, read.duration) == (1_700_000_000_000_001_000, 250_000_000)
    assert read.attributes == {
        "text": "é",
        "yes": True,
        "number": -(1 << 62),
        "ratio": 0.25,
        "list": ["a", "b"],
    }
    assert read.links == ((f"{5 << 64 | 1:032x}", f"{2:016x}"),)


def test_rejected_spans_are_read_from_a_response() -> None:
    rejected = load_encoding("otlp").rejected
    assert rejected(b"") == 0
    assert rejected(b"\x0a\x02\x08\x03") == 3
    assert rejected(b"<html>") == 0
    # A negative count, as a hostile host may send it.
    assert rejected(b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01") == 0
