# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_agent.metrics.metrics import Metrics
from kata_agent.system_paths import SystemPaths
from kata_tracing.counters import Counters


def value(page: str, name: str) -> str:
    (line,) = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(f"{name} ")


def test_each_scrape_is_counted() -> None:
    metrics = Metrics(SystemPaths())
    pages = [metrics.scrape() for _ in range(3)]
    counts = [value(page, "kata_agent_scrape_count") for page in pages]
    assert counts == ["1.0", "2.0", "3.0"]


def test_spans_are_counted_anew_for_each_scrape() -> None:
    counters = Counters()
    metrics = Metrics(SystemPaths(), lambda: counters)
    name = 'kata_agent_trace_spans{item="ended"}'
    assert value(metrics.scrape(), name) == "0.0"
    counters.ended = 4
    assert value(metrics.scrape(), name) == "4.0"
