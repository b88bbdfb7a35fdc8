# SPDX-License-Identifier: Apache-2.0
"""The SDK's spans hold the same as the data they are made of.

tests/tracing/encoding tests how they are encoded.
"""

from __future__ import annotations

import json
from dataclasses import replace

import opentelemetry.sdk.version
from opentelemetry import trace as api

from kata_tracing.sdk_translator import SdkTranslator
from kata_tracing.span_data import SpanData
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext
from tests.tracing.encoding.samples import RESOURCE, recorded, samples


def test_the_resource_has_the_sdks_own_attributes() -> None:
    resource = samples()[0].resource
    assert dict(resource.attributes) == RESOURCE | {
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": opentelemetry.sdk.version.__version__,
    }


def test_all_spans_share_one_resource_and_scope() -> None:
    translator = SdkTranslator(RESOURCE)
    first, second = (translator.translate(data) for data in recorded())
    assert first.resource is second.resource
    assert first.instrumentation_scope is second.instrumentation_scope


def test_a_span_has_its_parent() -> None:
    call, step = samples()
    assert call.parent is not None
    assert step.parent is not None
    assert (call.parent.span_id, call.parent.is_remote) == (0xF0, True)
    assert not step.parent.is_remote
    assert call.parent.trace_state is call.get_span_context().trace_state  # type: ignore[union-attr]
    root = SdkTranslator({}).translate(SpanData("a", TraceContext(1, 2), 1, 2))
    assert root.parent is None


def test_dropped_attributes_are_counted() -> None:
    call, step = samples()
    assert (call.dropped_attributes, step.dropped_attributes) == (4, 0)
    assert len(call.attributes or ()) == 5
    nothing_kept = replace(recorded()[0], attributes={})
    assert SdkTranslator({}).translate(nothing_kept).dropped_attributes == 4


def test_kind_and_status_are_translated() -> None:
    call, step = samples()
    assert (call.kind, step.kind) == (api.SpanKind.SERVER, api.SpanKind.INTERNAL)
    assert call.status.status_code is api.StatusCode.ERROR
    assert step.status.is_unset
    for kind in set(SpanKind) - {SpanKind.UNSPECIFIED}:
        data = SpanData("a", TraceContext(1, 2), 1, 2, kind=kind)
        assert SdkTranslator({}).translate(data).kind.name == kind.name


def test_a_link_says_whether_it_is_sampled() -> None:
    links = (TraceContext(1, 2), TraceContext(1, 3, sampled=False))
    data = SpanData("a", TraceContext(1, 4), 1, 2, links=links)
    found = [
        link.context.trace_flags.sampled
        for link in SdkTranslator({}).translate(data).links
    ]
    assert found == [True, False]


def test_the_sdk_can_print_it() -> None:
    assert json.loads(samples()[0].to_json())["attributes"]["text"] == "é"
