# SPDX-License-Identifier: Apache-2.0
"""Spans with a value in every field."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan

from kata_tracing.sdk_translator import SdkTranslator
from kata_tracing.span_data import SpanData
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext

TRACE = 0xFFF92F3577B34DA6_83CE929D0E0E4736
RESOURCE = {"service.name": "kata-agent", "service.version": "9", "process.pid": 1}


def samples() -> list[ReadableSpan]:
    """The SDK's spans, made as the sender thread makes them."""
    translator = SdkTranslator(RESOURCE)
    return [translator.translate(data) for data in recorded()]


def recorded() -> list[SpanData]:
    call = TraceContext(TRACE, 0xFEDCBA9876543210, tracestate="vendor=x")
    return [
        SpanData(
            "grpc.AgentService/CreateContainer",
            call,
            start=1_700_000_000_000_001_000,
            end=1_700_000_000_250_001_000,
            kind=SpanKind.SERVER,
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
            links=(TraceContext(5 << 64 | 1, 2),),
            dropped_attributes=4,
        ),
        SpanData(
            "storage.add",
            TraceContext(TRACE, 7),
            start=1_700_000_000_000_002_000,
            end=1_700_000_000_000_003_000,
            parent_id=call.span_id,
        ),
    ]
