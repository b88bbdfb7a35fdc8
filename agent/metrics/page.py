# SPDX-License-Identifier: Apache-2.0
"""All metric families on one page, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kata_agent.metrics.agent_process import agent_families
from kata_agent.metrics.family import Family
from kata_agent.metrics.filesystem import filesystem_families
from kata_agent.metrics.guest import guest_families
from kata_agent.metrics.spans import span_families
from kata_agent.system_paths import SystemPaths
from kata_agent.third_party import import_prometheus_client
from kata_tracing.counters import Counters

_generate_latest, _Metric = import_prometheus_client()

UTF_8: Final = "utf-8"


class _Collector:
    """The part of a registry that `generate_latest` uses."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        for family in self._families:
            metric = _Metric(family.name, family.help, family.kind)
            for labels, value in family.samples:
                metric.add_sample(family.name, _readable(labels), value)
            yield metric


def page(paths: SystemPaths, *, scrapes: int, spans: Counters) -> str:
    """Return every family as text. Blocks.

    `scrapes` is the number of pages so far, this one included.
    """
    families = [
        # Kind unknown, because the library would rename a counter to ..._total.
        Family(
            "kata_agent_scrape_count",
            "Scrapes of this page, the present one included",
            [({}, scrapes)],
            kind="unknown",
        ),
        *agent_families(paths),
        *span_families(spans),
        *guest_families(paths),
        *filesystem_families(paths),
    ]
    text: bytes = _generate_latest(_Collector(families))
    return text.decode(UTF_8)


def _readable(labels: dict[str, str]) -> dict[str, str]:
    """Replace bytes that are not UTF-8, because a mount point may have any."""
    return {
        name: value.encode(UTF_8, "replace").decode(UTF_8)
        for name, value in labels.items()
    }
