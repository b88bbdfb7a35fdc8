# SPDX-License-Identifier: Apache-2.0
"""Statistics of version 2 (kernel: Documentation/admin-guide/cgroup-v2.rst).

The message was made for version 1. Its fields without a counterpart stay zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kata_agent.cgroup.files import (
    UNLIMITED,
    read_flat_keyed,
    read_nested_keyed,
    read_number,
)
from kata_protos import agent_pb2

NANOSECONDS_PER_MICROSECOND: Final = 1000


def read_stats(directory: Path) -> agent_pb2.CgroupStats:
    """Read the files of every controller that is enabled in `directory`. Blocks.

    Times are in nanoseconds, sizes in bytes.
    """
    stats = agent_pb2.CgroupStats()
    _read_cpu(directory, stats.cpu_stats)
    if (directory / "memory.current").exists():
        _read_memory(directory, stats.memory_stats)
    if (directory / "pids.current").exists():
        _read_pids(directory, stats.pids_stats)
    _read_io(directory, stats.blkio_stats)
    for file in directory.glob("hugetlb.*.current"):
        size = file.name.split(".")[1]
        entry = stats.hugetlb_stats[size]
        entry.usage = read_number(file) or 0
        events = read_flat_keyed(directory / f"hugetlb.{size}.events")
        entry.failcnt = events.get("max", 0)
    return stats


def _read_cpu(directory: Path, stats: agent_pb2.CpuStats) -> None:
    values = {
        key: value * NANOSECONDS_PER_MICROSECOND if key.endswith("_usec") else value
        for key, value in read_flat_keyed(directory / "cpu.stat").items()
    }
    stats.cpu_usage.total_usage = values.get("usage_usec", 0)
    stats.cpu_usage.usage_in_usermode = values.get("user_usec", 0)
    stats.cpu_usage.usage_in_kernelmode = values.get("system_usec", 0)
    stats.throttling_data.periods = values.get("nr_periods", 0)
    stats.throttling_data.throttled_periods = values.get("nr_throttled", 0)
    stats.throttling_data.throttled_time = values.get("throttled_usec", 0)


def _read_memory(directory: Path, stats: agent_pb2.MemoryStats) -> None:
    details = read_flat_keyed(directory / "memory.stat")
    stats.stats.update(details)
    stats.cache = details.get("file", 0)
    # Version 2 is always hierarchical.
    stats.use_hierarchy = True
    events = read_flat_keyed(directory / "memory.events")
    # The message has no field for the processes killed (cgroup-v2.rst, "Memory").
    stats.stats["oom_kill"] = events.get("oom_kill", 0)
    usage = stats.usage
    usage.usage = read_number(directory / "memory.current") or 0
    usage.max_usage = read_number(directory / "memory.peak") or 0
    usage.failcnt = events.get("max", 0)
    usage.limit = read_number(directory / "memory.max") or 0
    stats.kernel_usage.usage = details.get("kernel", 0)
    swap = read_number(directory / "memory.swap.current")
    if swap is None:
        return
    # Version 1, and so the message, counts memory and swap together.
    stats.swap_usage.usage = usage.usage + swap
    swap_limit = read_number(directory / "memory.swap.max")
    if swap_limit is not None:
        unlimited = UNLIMITED in (swap_limit, usage.limit)
        stats.swap_usage.limit = UNLIMITED if unlimited else usage.limit + swap_limit


def _read_pids(directory: Path, stats: agent_pb2.PidsStats) -> None:
    stats.current = read_number(directory / "pids.current") or 0
    limit = read_number(directory / "pids.max")
    # In this message 0 means no limit.
    stats.limit = 0 if limit is None or limit == UNLIMITED else limit


def _read_io(directory: Path, stats: agent_pb2.BlkioStats) -> None:
    operations = {
        "rbytes": (stats.io_service_bytes_recursive, "Read"),
        "wbytes": (stats.io_service_bytes_recursive, "Write"),
        "dbytes": (stats.io_service_bytes_recursive, "Discard"),
        "rios": (stats.io_serviced_recursive, "Read"),
        "wios": (stats.io_serviced_recursive, "Write"),
        "dios": (stats.io_serviced_recursive, "Discard"),
    }
    for device, values in read_nested_keyed(directory / "io.stat").items():
        major, separator, minor = device.partition(":")
        if not separator:
            continue
        for key, (entries, operation) in operations.items():
            if key in values:
                entries.add(
                    major=int(major), minor=int(minor), op=operation, value=values[key]
                )
