# SPDX-License-Identifier: Apache-2.0
"""`kata_guest_*`: the guest's load, CPUs, memory, interfaces and disks (man 5 proc)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_agent.machine.memory_info import parse_memory_info
from kata_agent.metrics.family import Family, items, merged
from kata_agent.system_paths import SystemPaths

CPU_ITEMS: Final = (
    "user nice system idle iowait irq softirq steal guest guest_nice".split()
)
NETDEV_ITEMS: Final = (
    "recv_bytes recv_packets recv_errs recv_drop recv_fifo recv_frame recv_compressed "
    "recv_multicast sent_bytes sent_packets sent_errs sent_drop sent_fifo sent_colls "
    "sent_carrier sent_compressed".split()
)
DISK_ITEMS: Final = (
    "reads merged sectors_read time_reading writes writes_merged sectors_written "
    "time_writing in_progress time_in_progress weighted_time_in_progress discards "
    "discards_merged sectors_discarded time_discarding flushes time_flushing".split()
)


def guest_families(paths: SystemPaths) -> Iterator[Family]:
    """Yield the families of each file that this kernel has. Blocks."""
    for file, read in (
        ("loadavg", _load),
        ("stat", _cpu_time),
        ("vmstat", _vm_stat),
        ("meminfo", _memory),
        ("net/dev", _interfaces),
        ("diskstats", _disks),
    ):
        text = _read(paths.proc / file)
        if text:
            yield from read(text)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def _load(text: str) -> Iterator[Family]:
    """Read `0.20 0.18 0.12 1/80 11206`: averages, runnable and all tasks, last pid."""
    one, five, fifteen, tasks, _ = text.split()
    running, _, every = tasks.partition("/")
    yield items(
        "kata_guest_load",
        "Load averages",
        {"load1": float(one), "load5": float(five), "load15": float(fifteen)},
    )
    yield items(
        "kata_guest_tasks",
        "Tasks: cur is the number of runnable tasks, max of all tasks",
        {"cur": int(running), "max": int(every)},
    )


def _cpu_time(text: str) -> Iterator[Family]:
    milliseconds = 1000 / os.sysconf("SC_CLK_TCK")
    rows = [line.split() for line in text.splitlines() if line.startswith("cpu")]
    yield merged(
        [
            items(
                "kata_guest_cpu_time",
                "CPU time in milliseconds",
                dict(
                    zip(
                        CPU_ITEMS,
                        (int(ticks) * milliseconds for ticks in ticks_of_cpu),
                        strict=False,
                    )
                ),
                cpu=name.removeprefix("cpu") or "total",
            )
            for name, *ticks_of_cpu in rows
        ]
    )


def _vm_stat(text: str) -> Iterator[Family]:
    pairs = (line.split() for line in text.splitlines())
    yield items(
        "kata_guest_vm_stat",
        "The kernel's counters of virtual memory",
        {name: int(value) for name, value in pairs},
    )


def _memory(text: str) -> Iterator[Family]:
    yield items(
        "kata_guest_meminfo",
        "Memory in bytes, and huge pages",
        {memory_item(name): _bytes(value) for name, value in parse_memory_info(text)},
    )


def memory_item(name: str) -> str:
    """Return the item of a name in /proc/meminfo: `Active(anon)` is `active_anon`."""
    if name == "Percpu":
        return "per_cpu"
    direct_map = re.fullmatch(r"DirectMap(\w+)", name)
    if direct_map:
        return f"direct_map_{direct_map[1]}"
    name = name.replace("HugePages", "Hugepages").replace("(", "_").replace(")", "")
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return snake.lower()


def _bytes(value: str) -> int:
    number, _, unit = value.partition(" ")
    return int(number) * (1024 if unit == "kB" else 1)


def _interfaces(text: str) -> Iterator[Family]:
    # Two lines are headings. A number may follow a name's colon without a blank.
    rows = (line.partition(":") for line in text.splitlines()[2:])
    families = [
        items(
            "kata_guest_netdev_stat",
            "Traffic of a network interface",
            dict(zip(NETDEV_ITEMS, map(int, numbers.split()), strict=False)),
            interface=name.strip(),
        )
        for name, _, numbers in rows
    ]
    if families:
        yield merged(families)


def _disks(text: str) -> Iterator[Family]:
    rows = (line.split() for line in text.splitlines())
    families = [
        items(
            "kata_guest_diskstat",
            "Input and output of a disk: counts, sectors of 512 bytes, milliseconds",
            dict(zip(DISK_ITEMS, map(int, numbers), strict=False)),
            disk=name,
        )
        for _, _, name, *numbers in rows
    ]
    if families:
        yield merged(families)
