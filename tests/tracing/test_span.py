# SPDX-License-Identifier: Apache-2.0
"""Spans as the code that does the work makes them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from kata_tracing import semconv
from kata_tracing.span import NO_SPAN, add_span, span, use_tracer
from kata_tracing.span_data import SpanData
from kata_tracing.tracer import Tracer


@pytest.fixture
def ended() -> Iterator[list[SpanData]]:
    """Tracing that is on, and the spans that have ended."""
    spans: list[SpanData] = []
    use_tracer(Tracer(spans.append))
    yield spans
    use_tracer(None)


def test_tracing_that_is_off_returns_one_shared_object() -> None:
    first = span("cgroup.freeze", {semconv.CONTAINER_ID: "a"}, subsystem="container")
    second = span("process.start", subsystem="process")
    assert first is second is NO_SPAN
    with first as inside:
        inside.set_attribute(semconv.PROCESS_PID, 1)
    add_span("process.run", subsystem="process", start=0)


def test_tracing_that_is_on_makes_spans(ended: list[SpanData]) -> None:
    with span("a.b", {semconv.CONTAINER_ID: "c"}, subsystem="s") as step:
        step.set_attribute(semconv.PROCESS_PID, 7)
    (data,) = ended
    assert data.name == "a.b"
    assert data.attributes == {"container.id": "c", "subsystem": "s", "process.pid": 7}


def test_the_callers_mapping_stays_as_it_is(ended: list[SpanData]) -> None:
    attributes = {semconv.COUNT: 1}
    with span("a.b", attributes, subsystem="s") as step:
        step.set_attribute(semconv.CPUS, 2)
    add_span("a.c", attributes, subsystem="s", start=0)
    assert attributes == {semconv.COUNT: 1}
    assert len(ended) == 2


def test_a_span_that_is_added_has_its_own_times(ended: list[SpanData]) -> None:
    now = time.monotonic_ns()
    add_span("a.b", {"key": 1}, subsystem="s", start=now - 500, end=now - 200)
    add_span("a.c", subsystem="s", start=now)
    first, second = ended
    assert first.end - first.start == 300
    assert first.attributes == {"key": 1, "subsystem": "s"}
    assert second.end >= second.start


def test_a_span_that_is_open_when_tracing_ends_goes_to_its_tracer(
    ended: list[SpanData],
) -> None:
    with span("a.b", subsystem="s"):
        use_tracer(None)
    assert [data.name for data in ended] == ["a.b"]


def test_tracing_that_is_off_imports_nothing() -> None:
    """No module that makes or sends spans is imported before tracing goes on."""
    script = (
        "import sys, kata_tracing.span, kata_tracing.tracing\n"
        "import kata_tracing.server_interceptor\n"
        "used = {'span', 'tracing', 'server_interceptor', 'counters', 'semconv'}\n"
        "names = [m for m in sys.modules if m.startswith('kata_tracing.')]\n"
        "ours = {name.split('.')[1] for name in names}\n"
        "assert ours == used, ours\n"
        "bad = ('opentelemetry', 'jaeger_client', 'thrift', 'http.client', 'email')\n"
        "sys.exit(str([m for m in sys.modules if m.startswith(bad)] or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
