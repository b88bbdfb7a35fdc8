# SPDX-License-Identifier: Apache-2.0
"""`kata_agent_trace_*`: spans that were sent or dropped (TRACING.md, "The wire")."""

from __future__ import annotations

from collections.abc import Iterator

from kata_agent.metrics.family import Family, items
from kata_tracing.counters import Counters


def span_families(spans: Counters) -> Iterator[Family]:
    """Yield the families; every value is 0 in a guest that was never traced."""
    yield items(
        "kata_agent_trace_spans",
        "Spans: ended is the sum of sent, pending and those dropped",
        {"ended": spans.ended, "sent": spans.sent, "pending": spans.pending},
    )
    yield Family(
        "kata_agent_trace_spans_dropped",
        "Spans that were dropped before a collector took them, by reason",
        [({"reason": reason.value}, n) for reason, n in spans.dropped.items()],
        kind="counter",
    )
    yield items(
        "kata_agent_trace_deliveries_failed",
        "Deliveries of batches: unanswered, or throttled by the collector",
        {"unanswered": spans.send_errors, "throttled": spans.throttled},
        kind="counter",
    )
