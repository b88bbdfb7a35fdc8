# SPDX-License-Identifier: Apache-2.0
"""Counts of sent and dropped spans on the page, read by Prometheus's own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from kata_agent.metrics.metrics import Metrics
from kata_agent.system_paths import SystemPaths
from kata_tracing.counters import Counters, DropReason


def values(counters: Counters) -> dict[str, dict[str, float]]:
    text = Metrics(SystemPaths(), counters.copy).scrape()
    return {
        family.name: {
            next(iter(sample.labels.values())): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
        if family.name.startswith("kata_agent_trace_")
    }


def test_every_count_is_there() -> None:
    counters = Counters(ended=10, sent=4, send_errors=3, throttled=2)
    counters.dropped[DropReason.SPOOL] = 2
    counters.dropped[DropReason.QUEUE] = 1
    assert values(counters) == {
        "kata_agent_trace_spans": {"ended": 10, "sent": 4, "pending": 3},
        "kata_agent_trace_spans_dropped": {
            "queue": 1,
            "encode": 0,
            "spool": 2,
            "refused": 0,
            "rejected": 0,
            "shutdown": 0,
        },
        "kata_agent_trace_deliveries_failed": {"unanswered": 3, "throttled": 2},
    }


def test_a_guest_that_is_not_traced_counts_no_spans() -> None:
    assert values(Counters())["kata_agent_trace_spans"] == {
        "ended": 0,
        "sent": 0,
        "pending": 0,
    }
