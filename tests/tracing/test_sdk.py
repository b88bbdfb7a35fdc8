# SPDX-License-Identifier: Apache-2.0
"""The SDK's spans are what the tracer recorded.

tests/tracing/encoding has what becomes of them on the wire.
"""

from __future__ import annotations

import json
from dataclasses import replace

import opentelemetry.sdk.version
from opentelemetry.trace import SpanKind, StatusCode

from kata_tracing.data import SpanData
from kata_tracing.kind import Kind
from kata_tracing.propagation import TraceContext
from kata_tracing.sdk import Translator
from tests.tracing.encoding.samples import RESOURCE, recorded, samples


def test_it_is_the_sdks_own_resource() -> None:
    resource = samples()[0].resource
    assert dict(resource.attributes) == RESOURCE | {
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": opentelemetry.sdk.version.__version__,
    }


def test_one_resource_and_scope_for_all() -> None:
    translator = Translator(RESOURCE)
    first, second = (translator.span(data) for data in recorded())
    assert first.resource is second.resource
    assert first.instrumentation_scope is second.instrumentation_scope


def test_whose_child_it_is() -> None:
    call, step = samples()
    assert call.parent is not None
    assert step.parent is not None
    assert (call.parent.span_id, call.parent.is_remote) == (0xF0, True)
    assert not step.parent.is_remote
    assert call.parent.trace_state is call.get_span_context().trace_state  # type: ignore[union-attr]
    root = Translator({}).span(SpanData("a", TraceContext(1, 2), 1, 2))
    assert root.parent is None


def test_what_was_dropped_is_counted() -> None:
    call, step = samples()
    assert (call.dropped_attributes, call.dropped_events) == (4, 5)
    assert (step.dropped_attributes, step.dropped_events) == (0, 0)
    assert len(call.attributes or ()) == 5
    assert [event.name for event in call.events] == ["hop"]
    nothing_kept = replace(recorded()[0], attributes={}, events=[])
    empty = Translator({}).span(nothing_kept)
    assert (empty.dropped_attributes, empty.dropped_events) == (4, 5)


def test_kind_and_status() -> None:
    call, step = samples()
    assert (call.kind, step.kind) == (SpanKind.SERVER, SpanKind.INTERNAL)
    assert call.status.status_code is StatusCode.ERROR
    assert step.status.is_unset
    for kind in set(Kind) - {Kind.UNSPECIFIED}:
        data = SpanData("a", TraceContext(1, 2), 1, 2, kind=kind)
        assert Translator({}).span(data).kind.name == kind.name


def test_a_link_says_whether_it_is_sampled() -> None:
    links = (TraceContext(1, 2), TraceContext(1, 3, sampled=False))
    data = SpanData("a", TraceContext(1, 4), 1, 2, links=links)
    found = [
        link.context.trace_flags.sampled for link in Translator({}).span(data).links
    ]
    assert found == [True, False]


def test_the_sdk_can_print_it() -> None:
    assert json.loads(samples()[0].to_json())["attributes"]["text"] == "é"
