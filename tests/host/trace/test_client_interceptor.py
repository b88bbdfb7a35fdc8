# SPDX-License-Identifier: Apache-2.0
"""The trace context that a client sends with each call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from kata_host.trace.client_interceptor import (
    client_interceptor,
    client_span,
    from_environment,
)
from kata_protos import agent_pb2
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.service import Service

SERVICE = Service.from_descriptor(agent_pb2.DESCRIPTOR.services_by_name["AgentService"])
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{TRACE[::-1]}-{SPAN[::-1]}-01"


def new_call(**metadata: str) -> CallContext:
    method = SERVICE.methods["CreateContainer"]
    return CallContext(method, metadata=list(metadata.items()))


async def sent(context: CallContext) -> dict[str, str]:
    async def proceed(request: Any, context: CallContext) -> Any:
        return dict(context.metadata)

    found: dict[str, str] = await client_interceptor(None, context, proceed)
    return found


@contextmanager
def around(traceparent: str) -> Iterator[None]:
    _, trace, span, _ = traceparent.split("-")
    context = SpanContext(int(trace, 16), int(span, 16), False, TraceFlags(1))
    token = attach(set_span_in_context(NonRecordingSpan(context), Context()))
    try:
        yield
    finally:
        detach(token)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")


async def test_nothing_is_sent_outside_of_all_spans() -> None:
    assert await sent(new_call()) == {}


async def test_the_current_span_is_sent() -> None:
    with around(PARENT):
        assert await sent(new_call()) == {"traceparent": PARENT}


def test_a_blocking_client_can_do_the_same() -> None:
    context = new_call()
    with around(PARENT), client_span(context):
        assert dict(context.metadata) == {"traceparent": PARENT}


@pytest.mark.usefixtures("without")
async def test_a_program_without_opentelemetry_sends_nothing() -> None:
    assert await sent(new_call()) == {}


@pytest.mark.usefixtures("without")
async def test_the_environment_names_the_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    monkeypatch.setenv("TRACESTATE", "vendor=x")
    assert await sent(new_call()) == {"traceparent": PARENT, "tracestate": "vendor=x"}


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("value", ["", "garbage", "x" * 10_000, PARENT.upper()])
async def test_an_environment_with_an_invalid_parent_names_none(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TRACEPARENT", value)
    assert await sent(new_call()) == {}


async def test_the_environment_counts_only_outside_of_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACEPARENT", OTHER)
    assert await sent(new_call()) == {"traceparent": OTHER}
    with around(PARENT):
        assert await sent(new_call()) == {"traceparent": PARENT}


async def test_a_traceparent_of_the_caller_itself_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACEPARENT", OTHER)
    with around(OTHER):
        assert await sent(new_call(traceparent=PARENT)) == {"traceparent": PARENT}


@pytest.mark.parametrize("fails", [False, True])
async def test_each_call_is_a_span_of_the_callers(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)

    async def proceed(request: Any, context: CallContext) -> Any:
        if fails:
            raise StatusError(Code.NOT_FOUND, "secret")

    context = new_call()
    try:
        with around(PARENT):
            await client_interceptor(None, context, proceed)
    except StatusError:
        assert fails
    (span,) = memory.get_finished_spans()
    assert span.name == "grpc.AgentService/CreateContainer"
    assert span.context is not None
    assert context.metadata.get("traceparent") == (
        f"00-{TRACE}-{span.context.span_id:016x}-01"
    )
    assert span.attributes is not None
    code = "NOT_FOUND" if fails else "OK"
    assert span.attributes["rpc.response.status_code"] == code
    assert (span.status.status_code is StatusCode.ERROR) == fails
    assert "secret" not in span.to_json()


def test_nothing_is_imported_for_it() -> None:
    script = (
        "import sys, kata_host.client\n"
        "sys.exit(str([m for m in sys.modules if 'opentelemetry' in m] or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_variable_in_lower_case_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("traceparent", PARENT)
    assert from_environment() is None
