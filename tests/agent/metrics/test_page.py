# SPDX-License-Identifier: Apache-2.0
"""The whole page of this machine, read by Prometheus's own parser."""

from __future__ import annotations

import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from kata_agent.metrics.metrics import Metrics
from kata_agent.system_paths import SystemPaths

WITHOUT_OPENSSL = """
import sys
for name in ("ssl", "_hashlib"):
    sys.modules[name] = None
from kata_agent.metrics.metrics import Metrics
from kata_agent.system_paths import SystemPaths
page = Metrics(SystemPaths()).scrape()
assert "kata_guest_load{" in page
assert sys.modules["ssl"] is None
assert "_ssl" not in sys.modules
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""

FIRST_USE = """
import sys
import kata_agent.main
from kata_agent.metrics.metrics import Metrics
from kata_agent.system_paths import SystemPaths
metrics = Metrics(SystemPaths())
assert "prometheus_client" not in sys.modules
metrics.scrape()
assert "prometheus_client" in sys.modules
"""


def test_the_library_is_loaded_by_the_first_page() -> None:
    subprocess.run([sys.executable, "-c", FIRST_USE], check=True)


def test_every_family_is_there() -> None:
    metrics = Metrics(SystemPaths())
    metrics.scrape()
    families = {
        family.name: family
        for family in text_string_to_metric_families(metrics.scrape())
    }
    assert set(families) >= {
        "kata_agent_scrape_count",
        "kata_agent_threads",
        "kata_agent_total_time",
        "kata_agent_total_vm",
        "kata_agent_total_rss",
        "kata_agent_proc_status",
        "kata_agent_io_stat",
        "kata_agent_proc_stat",
        "kata_agent_trace_spans",
        "kata_agent_trace_spans_dropped",
        "kata_agent_trace_deliveries_failed",
        "kata_guest_load",
        "kata_guest_tasks",
        "kata_guest_cpu_time",
        "kata_guest_vm_stat",
        "kata_guest_netdev_stat",
        "kata_guest_meminfo",
    }
    (scrapes,) = families["kata_agent_scrape_count"].samples
    assert scrapes.value == 2
    # As in Kata's agent, whose name is no name of a counter in OpenMetrics.
    lines = metrics.scrape().splitlines()
    assert "# TYPE kata_agent_scrape_count counter" in lines
    assert "kata_agent_scrape_count 3.0" in lines
    assert "# TYPE kata_agent_trace_spans_dropped counter" in lines
    assert "# TYPE kata_agent_threads gauge" in lines
    assert not [line for line in lines if "_total counter" in line]
    (rss,) = families["kata_agent_total_rss"].samples
    assert rss.value > 1 << 20


def test_no_openssl_is_needed() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_OPENSSL], check=True)
