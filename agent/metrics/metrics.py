# SPDX-License-Identifier: Apache-2.0
"""GetMetrics: numbers of the agent and of the guest, in Prometheus's text format.

Names and labels are those of Kata's agent (docs/design/kata-2-0-metrics.md), so that
its dashboards work; `kata_agent_trace_*` are ours. Nothing but spans is counted
between two scrapes: each reads /proc anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from kata_agent.system_paths import SystemPaths
from kata_tracing.counters import Counters


class Metrics:
    """Makes the page, and counts how often."""

    def __init__(
        self, paths: SystemPaths, count_spans: Callable[[], Counters] = Counters
    ) -> None:
        """`count_spans` says what became of the spans: `Tracing.counters`."""
        self._paths = paths
        self._count_spans = count_spans
        self._scrapes = itertools.count(1)

    def scrape(self) -> str:
        """Return the whole page. Blocks.

        prometheus_client is loaded by the first call: it takes 30 ms and some MiB that
        most guests never need.
        """
        from kata_agent.metrics.page import page

        return page(self._paths, scrapes=next(self._scrapes), spans=self._count_spans())
