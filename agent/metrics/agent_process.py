# SPDX-License-Identifier: Apache-2.0
"""`kata_agent_*`: the agent's own process (man 5 proc_pid_stat, _status, _io)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from kata_agent.machine.memory_info import parse_memory_info
from kata_agent.metrics.family import Family, items
from kata_agent.system_paths import SystemPaths

# Indexes of fields of /proc/PID/stat, from 0 at the field after the command's name.
UTIME, STIME, CUTIME, CSTIME = 11, 12, 13, 14
THREADS, VSIZE, RSS = 17, 20, 21

STATUS_ITEMS: Final = frozenset(
    "vmpeak vmsize vmlck vmpin vmhwm vmrss rssanon rssfile rssshmem vmdata vmstk vmexe "
    "vmlib vmpte vmswap hugetlbpages voluntary_ctxt_switches "
    "nonvoluntary_ctxt_switches".split()
)


def agent_families(paths: SystemPaths) -> Iterator[Family]:
    """Yield the families. Blocks."""
    process = paths.proc / "self"
    # The command's name may hold blanks and parentheses; the last one ends the name.
    stat = (process / "stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    yield _one("kata_agent_threads", "Threads", int(stat[THREADS]))
    yield _one(
        "kata_agent_total_time",
        "CPU time in seconds",
        (int(stat[UTIME]) + int(stat[STIME])) / ticks,
    )
    yield _one("kata_agent_total_vm", "Address space in bytes", int(stat[VSIZE]))
    yield _one(
        "kata_agent_total_rss",
        "Resident memory in bytes",
        int(stat[RSS]) * os.sysconf("SC_PAGE_SIZE"),
    )
    yield items(
        "kata_agent_proc_stat",
        "Times in clock ticks",
        {
            "utime": int(stat[UTIME]),
            "stime": int(stat[STIME]),
            "cutime": int(stat[CUTIME]),
            "cstime": int(stat[CSTIME]),
        },
    )
    yield items(
        "kata_agent_proc_status",
        "Memory in KiB, and context switches",
        _numbers((process / "status").read_text(), STATUS_ITEMS),
    )
    yield items(
        "kata_agent_io_stat",
        "Bytes and system calls of input and output",
        _numbers((process / "io").read_text(), None),
    )


def _one(name: str, help: str, value: float) -> Family:
    return Family(name, help, [({}, value)])


def _numbers(text: str, names: frozenset[str] | None) -> dict[str, float]:
    """Return the numbers of `Name: value` lines, by names in lower case.

    `names` selects some of them, None all.
    """
    return {
        name.lower(): int(value.split()[0])
        for name, value in parse_memory_info(text)
        if names is None or name.lower() in names
    }
