# SPDX-License-Identifier: Apache-2.0
"""GetMetrics: numbers of the agent and of the guest, in Prometheus's text format.

Names and labels are those of Kata's agent (docs/design/kata-2-0-metrics.md), so that
its dashboards work. Nothing is counted between two scrapes: each reads /proc anew.
"""

from __future__ import annotations

import itertools

from agent.paths import SystemPaths


class Metrics:
    """Makes the page, and counts how often."""

    def __init__(self, paths: SystemPaths) -> None:
        self._paths = paths
        self._scrapes = itertools.count(1)

    def scrape(self) -> str:
        """Return the whole page. Blocks.

        prometheus_client is loaded by the first call: it takes 30 ms and some MiB that
        most guests never need.
        """
        from agent.metrics.page import page

        return page(self._paths, scrapes=next(self._scrapes))
