# SPDX-License-Identifier: Apache-2.0
"""Statistics of version 1 (kernel: Documentation/admin-guide/cgroup-v1/)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kata_agent.cgroup.files import (
    UNLIMITED,
    read_flat_keyed,
    read_number,
    read_text,
    to_number,
)
from kata_protos import agent_pb2

NANOSECONDS: Final = 1_000_000_000
_NO_LIMIT: Final = 0x7FFF_FFFF_0000_0000
"""A limit this large means none: the kernel reports PAGE_COUNTER_MAX pages, just under
2**63 bytes."""
_KERNEL_NAMES: Final = {"io_time_recursive": "time_recursive"}
"""Fields of the message whose file has another name."""


def read_stats(controller: Callable[[str], Path]) -> agent_pb2.CgroupStats:
    """Read the files of every controller. Blocks.

    `controller` returns the directory in the hierarchy of the controller that it is
    given; the directory may be missing. Times are in nanoseconds, sizes in bytes.
    """
    stats = agent_pb2.CgroupStats()
    _read_cpu(controller("cpuacct"), controller("cpu"), stats.cpu_stats)
    if controller("memory").exists():
        _read_memory(controller("memory"), stats.memory_stats)
    if controller("pids").exists():
        _read_pids(controller("pids"), stats.pids_stats)
    if controller("blkio").exists():
        _read_blkio(controller("blkio"), stats.blkio_stats)
    for file in controller("hugetlb").glob("hugetlb.*.usage_in_bytes"):
        _read_hugetlb(file.parent, file.name.split(".")[1], stats)
    return stats


def _read_cpu(cpuacct: Path, cpu: Path, stats: agent_pb2.CpuStats) -> None:
    usage = stats.cpu_usage
    usage.total_usage = read_number(cpuacct / "cpuacct.usage") or 0
    per_cpu = read_text(cpuacct / "cpuacct.usage_percpu") or ""
    usage.percpu_usage.extend(int(word) for word in per_cpu.split())
    ticks = read_flat_keyed(cpuacct / "cpuacct.stat")
    per_tick = NANOSECONDS // os.sysconf("SC_CLK_TCK")
    usage.usage_in_usermode = ticks.get("user", 0) * per_tick
    usage.usage_in_kernelmode = ticks.get("system", 0) * per_tick
    throttling = read_flat_keyed(cpu / "cpu.stat")
    stats.throttling_data.periods = throttling.get("nr_periods", 0)
    stats.throttling_data.throttled_periods = throttling.get("nr_throttled", 0)
    stats.throttling_data.throttled_time = throttling.get("throttled_time", 0)


def _read_memory(memory: Path, stats: agent_pb2.MemoryStats) -> None:
    details = read_flat_keyed(memory / "memory.stat")
    stats.stats.update(details)
    # The message has no field for the processes killed (memory.rst, "OOM Control").
    control = read_flat_keyed(memory / "memory.oom_control")
    stats.stats["oom_kill"] = control.get("oom_kill", 0)
    stats.cache = details.get("total_cache", details.get("cache", 0))
    stats.use_hierarchy = read_number(memory / "memory.use_hierarchy") == 1
    for prefix, data in (
        ("memory", stats.usage),
        ("memory.memsw", stats.swap_usage),
        ("memory.kmem", stats.kernel_usage),
    ):
        data.usage = read_number(memory / f"{prefix}.usage_in_bytes") or 0
        data.max_usage = read_number(memory / f"{prefix}.max_usage_in_bytes") or 0
        data.failcnt = read_number(memory / f"{prefix}.failcnt") or 0
        limit = read_number(memory / f"{prefix}.limit_in_bytes") or 0
        data.limit = UNLIMITED if limit >= _NO_LIMIT else limit


def _read_pids(pids: Path, stats: agent_pb2.PidsStats) -> None:
    stats.current = read_number(pids / "pids.current") or 0
    limit = read_number(pids / "pids.max")
    # In this message 0 means no limit.
    stats.limit = 0 if limit is None or limit == UNLIMITED else limit


def _read_blkio(blkio: Path, stats: agent_pb2.BlkioStats) -> None:
    fields = {
        "io_service_bytes_recursive": "blkio.throttle.io_service_bytes",
        "io_serviced_recursive": "blkio.throttle.io_serviced",
        "io_queued_recursive": None,
        "io_service_time_recursive": None,
        "io_wait_time_recursive": None,
        "io_merged_recursive": None,
        "io_time_recursive": None,
        "sectors_recursive": None,
    }
    for field, throttle in fields.items():
        # The proportional scheduler's file, by its newer name and by its older one.
        names = [f"blkio.bfq.{field}", f"blkio.{_KERNEL_NAMES.get(field, field)}"]
        if throttle is not None:
            names += [f"{throttle}_recursive", throttle]
        for name in names:
            entries = _blkio_entries(read_text(blkio / name) or "")
            if entries:
                getattr(stats, field).extend(entries)
                break


def _blkio_entries(text: str) -> list[agent_pb2.BlkioStatsEntry]:
    """Read lines `MAJOR:MINOR [OPERATION] VALUE`; skip others, as `Total`."""
    entries = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or ":" not in words[0]:
            continue
        major, minor = words[0].split(":")
        operation = words[1] if len(words) == 3 else ""
        entries.append(
            agent_pb2.BlkioStatsEntry(
                major=int(major),
                minor=int(minor),
                op=operation,
                value=to_number(words[-1]),
            )
        )
    return entries


def _read_hugetlb(directory: Path, size: str, stats: agent_pb2.CgroupStats) -> None:
    entry = stats.hugetlb_stats[size]
    entry.usage = read_number(directory / f"hugetlb.{size}.usage_in_bytes") or 0
    entry.max_usage = read_number(directory / f"hugetlb.{size}.max_usage_in_bytes") or 0
    entry.failcnt = read_number(directory / f"hugetlb.{size}.failcnt") or 0
