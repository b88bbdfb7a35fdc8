# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

from kata_tracing.span import NO_SPAN, span, tracing_is_on, use_tracer


def test_off_is_one_shared_object() -> None:
    first = span("container.create", {"container.id": "a"}, subsystem="container")
    second = span("process.start", subsystem="process")
    assert first is second is NO_SPAN
    with first as inside:
        inside.set_attribute("key", 1)
        inside.event("hop", count=2)
    assert not tracing_is_on()


def test_on_makes_spans_of_the_tracer() -> None:
    calls = []

    class Tracer:
        def span(self, name, subsystem, attributes):  # type: ignore[no-untyped-def]
            calls.append((name, subsystem, attributes))
            return NO_SPAN

    use_tracer(Tracer())
    try:
        assert tracing_is_on()
        span("a.b", {"container.id": "c"}, subsystem="s")
    finally:
        use_tracer(None)
    assert calls == [("a.b", "s", {"container.id": "c"})]


def test_off_imports_nothing() -> None:
    """Neither the helper nor the set-up nor the interceptor bring what makes spans."""
    script = (
        "import sys, kata_tracing.span, kata_tracing.setup, kata_tracing.interceptor\n"
        "used = {'span', 'setup', 'interceptor', 'counters', 'semconv'}\n"
        "names = [m for m in sys.modules if m.startswith('kata_tracing.')]\n"
        "ours = {name.split('.')[1] for name in names}\n"
        "assert ours == used, ours\n"
        "bad = ('opentelemetry', 'jaeger_client', 'thrift', 'http.client', 'email')\n"
        "sys.exit(str([m for m in sys.modules if m.startswith(bad)] or '') or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
