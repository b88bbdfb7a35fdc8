# SPDX-License-Identifier: Apache-2.0
"""Batches of spans: a run of a command, and what a hostile guest may send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

MS: Final = 10**6
EPOCH: Final = 1_700_000_000 * 10**9
EVIL: Final = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>",
    "<!--<script>",
    "<b>bold</b>",
    "]]>\u2028\u2029\x00\x1b[2J",
    "\u202egnp.exe\u200f",
    "__proto__",
    "$data ${first} \\u003c",
    "&lt;a&gt;",
    "\U0001f600" * 4000,
    "x" * 100_000,
)


def sample_span(
    spans: Any,
    number: int,
    above: int,
    name: str,
    start: float,
    end: float,
    **more: Any,
) -> Any:
    """Add a span with times in milliseconds; `more` are fields, or attributes."""
    trace = more.pop("trace", 1)
    code = more.pop("code", 0)
    span = spans.add(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=above.to_bytes(8, "big") if above else b"",
        name=name,
        start_time_unix_nano=EPOCH + int(start * MS),
        end_time_unix_nano=EPOCH + int(end * MS),
        kind=more.pop("kind", 1),
    )
    if code:
        span.status.code = code
    for key, value in more.items():
        attribute = span.attributes.add(key=key.replace("_", "."))
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value
    return span


def sample_batch() -> ExportTraceServiceRequest:
    """Return a run of 262 spans, 256 of which copy a file."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "kata-agent"
    spans = resource.scope_spans.add().spans
    call = "grpc.AgentService/"
    sample_span(spans, 1, 0, "run", 0, 900, kind=3)
    sample_span(
        spans, 2, 1, f"{call}CreateContainer", 10, 200, kind=2, container_id="c1"
    )
    failed = sample_span(
        *(spans, 3, 2, "storage.add", 20, 30),
        **{"code": 2, "container_id": "c1", "agent_storage_driver": "local"},
        **{"agent_errno": "ENOENT", "agent_count": 7},
    )
    failed.events.add(name="moment", time_unix_nano=EPOCH + 25 * MS)
    for n in range(256):
        sample_span(spans, 10 + n, 1, f"{call}CopyFile", 210 + n, 211 + n, kind=2)
    sample_span(
        *(spans, 600, 1, f"{call}WriteStdin", 600, 650),
        **{"kind": 2, "container_id": "c2", "agent_exec_id": "e1"},
    )
    sample_span(spans, 601, 600, "step", 601, 602)
    sample_span(spans, 700, 0, "boot", 1, 5, trace=2)
    return request


def hostile_batch() -> ExportTraceServiceRequest:
    """Return markup as every text, and ids, parents, times and values of no sense."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = EVIL[0]
    spans = resource.scope_spans.add().spans
    for number, text in enumerate(EVIL, start=1):
        span = sample_span(spans, number, number % len(EVIL) + 1, text, 5, 1)
        span.events.add(name=text, time_unix_nano=2**64 - 1)
        for kind in ("string_value", "double_value", "int_value", "bytes_value"):
            attribute = span.attributes.add(key=text + kind)
            value = {
                "string_value": text,
                "double_value": float("nan" if number % 2 else "-inf"),
                "int_value": -(2**63),
                "bytes_value": text.encode(),
            }[kind]
            setattr(attribute.value, kind, value)
        deep = span.attributes.add(key="deep").value
        for _ in range(40):
            deep = deep.array_value.values.add()
        many = span.attributes.add(key="container.id").value.kvlist_value
        for _ in range(2000):
            many.values.add(key=text[:50]).value.string_value = text[:50]
        for n in range(500):
            span.attributes.add(key=f"{n}")
    # The last of these counts; and a time that is far from all others.
    sample_span(spans, 1, 1, EVIL[0], 0, 0)
    sample_span(spans, 2, 2, "", 0, 1, kind=99)
    spans.add(name="no ids", start_time_unix_nano=0, end_time_unix_nano=2**64 - 1)
    for n in range(200):
        sample_span(spans, 2000 + n, 1999 + n, "chain", 0, 1, trace=3)
    return request


def many_lines(count: int) -> Iterator[str]:
    """Yield lines of OTLP/JSON: calls with nine steps each, by many containers."""
    batch = 250

    def value(key: str, text: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": text}}

    def span(number: int) -> dict[str, Any]:
        call = number // 10 * 10
        start = EPOCH + number * MS
        return {
            "traceId": f"{call + 1:032x}",
            "spanId": f"{number + 1:016x}",
            "parentSpanId": "" if number == call else f"{call + 1:016x}",
            "name": f"call.number{call}" if number == call else f"step.do{number}",
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + MS // 2),
            "attributes": [
                value("container.id", f"c{call % 500}"),
                value("agent.storage.point", f"/run/{number}"),
            ],
        }

    for first in range(0, count, batch):
        spans = [span(n) for n in range(first, min(count, first + batch))]
        yield json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"
