# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from kata_agent.cgroup.files import UNLIMITED
from kata_agent.cgroup.stats_v1 import read_stats

FILES = {
    "cpuacct/cpuacct.usage": "30\n",
    "cpuacct/cpuacct.usage_percpu": "10 20\n",
    "cpuacct/cpuacct.stat": "user 2\nsystem 1\n",
    "cpu/cpu.stat": "nr_periods 3\nnr_throttled 2\nthrottled_time 7\n",
    "memory/memory.stat": "cache 1\ntotal_cache 5\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/memory.use_hierarchy": "1\n",
    "memory/memory.usage_in_bytes": "1000\n",
    "memory/memory.max_usage_in_bytes": "2000\n",
    "memory/memory.failcnt": "4\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
    "pids/pids.current": "3\n",
    "pids/pids.max": "33\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\n8:0 Write 2\n"
    "Total 3\n",
    "blkio/blkio.throttle.io_serviced": "8:0 Read 7\nTotal 7\n",
    "blkio/blkio.bfq.sectors_recursive": "8:0 9\n",
    "hugetlb/hugetlb.2MB.usage_in_bytes": "1\n",
    "hugetlb/hugetlb.2MB.max_usage_in_bytes": "2\n",
    "hugetlb/hugetlb.2MB.failcnt": "3\n",
}


def test_every_controller_is_read(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    stats = read_stats(lambda controller: tmp_path / controller)
    usage = stats.cpu_stats.cpu_usage
    assert (usage.total_usage, list(usage.percpu_usage)) == (30, [10, 20])
    assert usage.usage_in_usermode == 2 * usage.usage_in_kernelmode == 20_000_000
    assert stats.cpu_stats.throttling_data.throttled_time == 7
    memory = stats.memory_stats
    assert (memory.cache, memory.use_hierarchy, memory.usage.failcnt) == (5, True, 4)
    assert memory.usage.limit == UNLIMITED
    assert memory.stats["oom_kill"] == 2
    assert (stats.pids_stats.current, stats.pids_stats.limit) == (3, 33)
    blkio = stats.blkio_stats
    assert [(e.op, e.value) for e in blkio.io_service_bytes_recursive] == [
        ("Read", 1),
        ("Write", 2),
    ]
    assert [e.value for e in blkio.io_serviced_recursive] == [7]
    assert [(e.op, e.value) for e in blkio.sectors_recursive] == [("", 9)]
    assert stats.hugetlb_stats["2MB"].max_usage == 2
