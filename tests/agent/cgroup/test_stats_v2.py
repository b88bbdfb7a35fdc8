# SPDX-License-Identifier: Apache-2.0
"""On a tree of files, because few machines have all controllers on version 2."""

from __future__ import annotations

from pathlib import Path

from kata_agent.cgroup.files import UNLIMITED
from kata_agent.cgroup.stats_v2 import read_stats

FILES = {
    "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 3\n"
    "nr_throttled 2\nthrottled_usec 7\n",
    "memory.current": "1000\n",
    "memory.peak": "2000\n",
    "memory.max": "4096\n",
    "memory.stat": "anon 1\nfile 300\nkernel 50\n",
    "memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\n",
    "memory.swap.current": "10\n",
    "memory.swap.max": "max\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
    "io.stat": "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
    "hugetlb.2MB.current": "4194304\n",
    "hugetlb.2MB.events": "max 9\n",
}


def test_every_controller_is_read(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    stats = read_stats(tmp_path)
    assert stats.cpu_stats.cpu_usage.total_usage == 30_000
    assert stats.cpu_stats.cpu_usage.usage_in_usermode == 20_000
    assert stats.cpu_stats.throttling_data.throttled_time == 7_000
    memory = stats.memory_stats
    assert (memory.usage.usage, memory.usage.max_usage) == (1000, 2000)
    assert (memory.usage.limit, memory.usage.failcnt, memory.cache) == (4096, 4, 300)
    assert memory.swap_usage.usage == 1010
    assert memory.swap_usage.limit == UNLIMITED
    assert memory.stats["anon"] == memory.stats["oom_kill"] == 1
    assert (stats.pids_stats.current, stats.pids_stats.limit) == (3, 0)
    entries = stats.blkio_stats.io_service_bytes_recursive
    assert [(e.major, e.minor, e.op, e.value) for e in entries] == [
        (8, 16, "Read", 1),
        (8, 16, "Write", 2),
        (8, 16, "Discard", 5),
    ]
    assert [e.value for e in stats.blkio_stats.io_serviced_recursive] == [3, 4, 6]
    assert stats.hugetlb_stats["2MB"].usage == 4194304
    assert stats.hugetlb_stats["2MB"].failcnt == 9


def test_missing_controllers_are_not_set(tmp_path: Path) -> None:
    stats = read_stats(tmp_path)
    assert not stats.HasField("memory_stats")
    assert not stats.HasField("pids_stats")
