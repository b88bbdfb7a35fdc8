# SPDX-License-Identifier: Apache-2.0
"""The spans that a tracer hands to the trace port."""

from __future__ import annotations

import asyncio
import time

import pytest

from kata_tracing.span import add_span, span, use_tracer
from kata_tracing.span_data import SpanData
from kata_tracing.trace_context import TraceContext
from kata_tracing.tracer import Tracer


class Port:
    """Keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[SpanData] = []

    def put(self, data: SpanData) -> None:
        self.spans.append(data)


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def tracer(port: Port) -> Tracer:
    return Tracer(port.put)


def test_ids_are_new_and_never_zero(port: Port, tracer: Tracer) -> None:
    for _ in range(100):
        tracer.begin_call("a", {}, None).end()
    assert len({it.context.trace_id for it in port.spans} - {0}) == 100
    assert len({it.context.span_id for it in port.spans} - {0}) == 100


def test_a_child_is_in_its_parents_trace(port: Port, tracer: Tracer) -> None:
    with tracer.span("outer", "s", {}) as outer, tracer.span("inner", "s", {}):
        pass
    inner, top = port.spans
    assert inner.context.trace_id == top.context.trace_id
    assert inner.parent_id == outer.context.span_id
    assert top.parent_id == 0
    assert not inner.has_remote_parent


def test_a_call_is_its_callers_child(port: Port, tracer: Tracer) -> None:
    caller = TraceContext(1, 2, tracestate="vendor=x")
    with tracer.begin_call("call", {}, caller), tracer.span("inside", "s", {}):
        pass
    inside, call = port.spans
    assert (call.context.trace_id, call.parent_id) == (1, 2)
    assert call.has_remote_parent
    assert not inside.has_remote_parent
    assert {it.context.tracestate for it in port.spans} == {"vendor=x"}


def test_a_trace_that_its_caller_does_not_sample_has_no_spans(
    port: Port, tracer: Tracer
) -> None:
    with tracer.begin_call("call", {}, TraceContext(1, 2, sampled=False)):
        with tracer.span("inside", "s", {}):
            pass
    assert not port.spans


async def test_a_callback_after_its_call_links_to_it(
    port: Port, tracer: Tracer
) -> None:
    """The exit of a process, for example, to the call that started the process."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[None] = loop.create_future()
    done = asyncio.Event()

    def on_exit(_: object) -> None:
        add_span("process.run", subsystem="s", start=time.monotonic_ns())
        done.set()

    use_tracer(tracer)
    try:
        with (
            tracer.begin_call("call", {}, TraceContext(1, 2)),
            span("start", subsystem="s"),
        ):
            exited.add_done_callback(on_exit)
        exited.set_result(None)
        await done.wait()
    finally:
        use_tracer(None)
    start, _, run = port.spans
    assert run.name == "process.run"
    assert (run.context.trace_id, run.parent_id) == (1, 2)
    assert run.links == (start.context,)
