# SPDX-License-Identifier: Apache-2.0
"""Spans that have everything a span can have."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan

from kata_tracing.data import Event, SpanData
from kata_tracing.kind import Kind
from kata_tracing.propagation import TraceContext
from kata_tracing.sdk import Translator

TRACE = 0xFFF92F3577B34DA6_83CE929D0E0E4736
RESOURCE = {"service.name": "kata-agent", "service.version": "9", "process.pid": 1}


def samples() -> list[ReadableSpan]:
    """The SDK's spans, made as the sender thread makes them."""
    translator = Translator(RESOURCE)
    return [translator.span(data) for data in recorded()]


def recorded() -> list[SpanData]:
    call = TraceContext(TRACE, 0xFEDCBA9876543210, tracestate="vendor=x")
    return [
        SpanData(
            "grpc.AgentService/CreateContainer",
            call,
            start=1_700_000_000_000_001_000,
            end=1_700_000_000_250_001_000,
            kind=Kind.SERVER,
            parent_id=0xF0,
            has_remote_parent=True,
            failed=True,
            attributes={
                "text": "é",
                "yes": True,
                "number": -(1 << 62),
                "ratio": 0.25,
                "list": ("a", "b"),
            },
            events=[Event("hop", 1_700_000_000_000_005_000, {"n": 3})],
            links=(TraceContext(5 << 64 | 1, 2),),
            dropped_attributes=4,
            dropped_events=5,
        ),
        SpanData(
            "storage.add",
            TraceContext(TRACE, 7),
            start=1_700_000_000_000_002_000,
            end=1_700_000_000_000_003_000,
            parent_id=call.span_id,
        ),
    ]
