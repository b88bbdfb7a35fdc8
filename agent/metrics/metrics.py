# SPDX-License-Identifier: Apache-2.0
"""GetMetrics: numbers of the agent and of the guest, in Prometheus's text format.

Names and labels are those of Kata's agent (its docs/design/kata-2-0-metrics.md), so
dashboards for Kata work; `kata_agent_trace_*` are ours. Each scrape reads /proc anew;
only spans are counted in between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from kata_agent.system_paths import SystemPaths
from kata_tracing.counters import Counters


class Metrics:
    """Makes the page of all metrics, and counts the scrapes."""

    def __init__(
        self, paths: SystemPaths, count_spans: Callable[[], Counters] = Counters
    ) -> None:
        """`count_spans` returns how many spans were sent or dropped, so far."""
        self._paths = paths
        self._count_spans = count_spans
        self._scrapes = itertools.count(1)

    def scrape(self) -> str:
        """Return the whole page. Blocks.

        The first call loads prometheus_client, which takes 30 ms and some MiB: most
        guests never need it.
        """
        from kata_agent.metrics.page import page

        return page(self._paths, scrapes=next(self._scrapes), spans=self._count_spans())
