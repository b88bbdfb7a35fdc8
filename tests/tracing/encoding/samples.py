# SPDX-License-Identifier: Apache-2.0
"""Spans that have everything a span can have."""

from __future__ import annotations

from typing import Any

from opentelemetry.attributes import BoundedAttributes
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

TRACE = 0xFFF92F3577B34DA6_83CE929D0E0E4736


def samples() -> list[ReadableSpan]:
    resource = Resource({"service.name": "kata-agent", "process.pid": 1})
    scope = InstrumentationScope("kata-agent", "9")
    state = TraceState([("vendor", "x")])
    parent = SpanContext(TRACE, 0xF0, True, TraceFlags(3), state)
    call = SpanContext(TRACE, 0xFEDCBA9876543210, False, TraceFlags(3), state)
    # The first one is dropped, and counted.
    attributes: dict[str, Any] = {"dropped": 1, "text": "é", "yes": True}
    attributes |= {"number": -(1 << 62), "ratio": 0.25, "list": ("a", "b")}
    step = SpanContext(TRACE, 7, False, TraceFlags(1))
    return [
        ReadableSpan(
            "grpc.AgentService/CreateContainer",
            call,
            parent=parent,
            resource=resource,
            instrumentation_scope=scope,
            kind=SpanKind.SERVER,
            attributes=BoundedAttributes(5, attributes),
            events=[Event("hop", {"n": 3}, timestamp=1_700_000_000_000_005_000)],
            links=[Link(SpanContext(5 << 64 | 1, 2, True, TraceFlags(1)))],
            status=Status(StatusCode.ERROR, "INTERNAL"),
            start_time=1_700_000_000_000_001_000,
            end_time=1_700_000_000_250_001_000,
        ),
        ReadableSpan(
            "storage.add",
            step,
            parent=call,
            resource=resource,
            instrumentation_scope=scope,
            start_time=1_700_000_000_000_002_000,
            end_time=1_700_000_000_000_003_000,
        ),
    ]
