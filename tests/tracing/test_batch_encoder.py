# SPDX-License-Identifier: Apache-2.0
"""Batches that hold all spans, none of them too large."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_tracing.batch import Batch
from kata_tracing.batch_encoder import BatchEncoder
from kata_tracing.encoding.load_encoding import load_encoding
from kata_tracing.sdk_translator import SdkTranslator
from kata_tracing.span_data import SpanData
from kata_tracing.trace_context import TraceContext


def encoder(max_bytes: int = 1 << 20) -> BatchEncoder:
    otlp = load_encoding("otlp")
    return BatchEncoder(otlp, SdkTranslator({}).translate, max_bytes=max_bytes)


def spans(*names: str, size: int = 0) -> list[SpanData]:
    return [
        SpanData(name, TraceContext(1, 2), 1, 2, attributes={"text": "x" * size})
        for name in names
    ]


def names_in(batch: Batch) -> list[str]:
    request = ExportTraceServiceRequest.FromString(batch.body)
    found = [
        span.name
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len(found) == batch.spans
    return found


def test_spans_that_fit_are_one_batch() -> None:
    (batch,) = encoder().encode(spans("a", "b", "c"))
    assert batch is not None
    assert names_in(batch) == ["a", "b", "c"]


def test_a_large_batch_is_halved_in_order() -> None:
    batches = list(encoder(3000).encode(spans(*"abcdefgh", size=1000)))
    assert len(batches) == 4
    assert all(batch is not None and len(batch.body) <= 3000 for batch in batches)
    found = [name for batch in batches if batch for name in names_in(batch)]
    assert found == list("abcdefgh")


def test_a_large_span_travels_alone() -> None:
    batches = list(encoder(100).encode(spans("a", "b", size=1000)))
    assert [batch and batch.spans for batch in batches] == [1, 1]


def test_a_span_that_cannot_be_encoded_is_found_among_others() -> None:
    batches = list(encoder().encode(spans("a", "b", "\udc80", "d", "e")))
    assert batches.count(None) == 1
    found = [name for batch in batches if batch for name in names_in(batch)]
    assert found == ["a", "b", "d", "e"]
