# SPDX-License-Identifier: Apache-2.0
"""Our OTLP is that of OpenTelemetry's own SDK, field for field."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from tests.tracing.encoding.samples import RESOURCE, samples
from tracing.data import SpanData
from tracing.encoding import load
from tracing.propagation import TraceContext

SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def context_of(it: TraceContext, *, is_remote: bool = False) -> SpanContext:
    state = TraceState.from_header([it.tracestate])
    return SpanContext(it.trace_id, it.span_id, is_remote, SAMPLED, state)


def as_sdk(span: SpanData) -> ReadableSpan:
    """The same span in the SDK's own words."""
    parent = None
    if span.parent_id:
        above = TraceContext(span.context.trace_id, span.parent_id)
        parent = context_of(above, is_remote=span.has_remote_parent)
    return ReadableSpan(
        span.name,
        context_of(span.context),
        parent=parent,
        resource=Resource(dict(RESOURCE.attributes)),
        instrumentation_scope=InstrumentationScope("kata-agent", RESOURCE.version),
        kind=SpanKind[span.kind.name],
        attributes=span.attributes,
        events=[Event(it.name, it.attributes, timestamp=it.time) for it in span.events],
        links=[Link(context_of(it)) for it in span.links],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.start,
        end_time=span.end,
    )


def plain(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Take away what the SDK leaves out: W3C's flags, and counts it keeps itself."""
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.flags &= ~0xFF
        span.dropped_attributes_count = span.dropped_events_count = 0
        for link in span.links:
            link.flags &= ~0xFF
        if not span.status.code:
            span.ClearField("status")
    return request


def test_it_is_the_sdks() -> None:
    ours = ExportTraceServiceRequest.FromString(
        load("otlp").encode(RESOURCE, samples())
    )
    spans = ours.resource_spans[0].scope_spans[0].spans
    assert [span.flags & 0xFF for span in spans] == [1, 1]
    assert [span.dropped_attributes_count for span in spans] == [4, 0]
    assert [span.dropped_events_count for span in spans] == [5, 0]
    assert plain(ours) == plain(encode_spans([as_sdk(span) for span in samples()]))


def test_what_a_collector_says_it_did_not_take() -> None:
    rejected = load("otlp").rejected
    assert rejected(b"") == 0
    assert rejected(b"\x0a\x02\x08\x03") == 3
    assert rejected(b"<html>") == 0
    # A negative count, as a hostile host may send it.
    assert rejected(b"\x0a\x0b\x08" + b"\xff" * 9 + b"\x01") == 0


def test_no_sdk_is_needed() -> None:
    script = (
        "import sys, tracing.encoding.otlp, tracing.tracer\n"
        "sys.exit(str([m for m in sys.modules if 'opentelemetry.sdk' in m"
        " or 'opentelemetry.trace' in m] or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
