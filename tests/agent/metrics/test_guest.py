# SPDX-License-Identifier: Apache-2.0
"""Each file of /proc, with a text as a kernel writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.metrics.family import Family
from kata_agent.metrics.guest import guest_families, memory_item
from kata_agent.system_paths import SystemPaths

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def families(tmp_path: Path, file: str, text: str) -> dict[str, Family]:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return {
        family.name: family for family in guest_families(SystemPaths(proc=tmp_path))
    }


def values(family: Family, **labels: str) -> dict[str, float]:
    return {
        sample["item"]: value
        for sample, value in family.samples
        if labels.items() <= sample.items()
    }


def test_a_kernel_without_these_files_has_no_families(tmp_path: Path) -> None:
    assert list(guest_families(SystemPaths(proc=tmp_path))) == []


def test_load(tmp_path: Path) -> None:
    found = families(tmp_path, "loadavg", "0.20 0.18 0.12 1/80 11206\n")
    load = {"load1": 0.20, "load5": 0.18, "load15": 0.12}
    assert values(found["kata_guest_load"]) == load
    assert values(found["kata_guest_tasks"]) == {"cur": 1, "max": 80}


def test_cpu_time(tmp_path: Path) -> None:
    text = "cpu  10 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3 4 5 6 7 8 9 10\nintr 5\n"
    found = families(tmp_path, "stat", text)["kata_guest_cpu_time"]
    assert values(found, cpu="total")["user"] == 10 * TICK_MS
    assert values(found, cpu="1")["guest_nice"] == 10 * TICK_MS
    assert len(found.samples) == 20


def test_vm_stat(tmp_path: Path) -> None:
    found = families(tmp_path, "vmstat", "nr_free_pages 5\npgfault 7\n")
    expected = {"nr_free_pages": 5, "pgfault": 7}
    assert values(found["kata_guest_vm_stat"]) == expected


def test_memory(tmp_path: Path) -> None:
    text = "MemTotal:  2 kB\nHugePages_Total:  3\nDirectMap2M:  4 kB\n"
    found = families(tmp_path, "meminfo", text)
    assert values(found["kata_guest_meminfo"]) == {
        "mem_total": 2048,
        "hugepages_total": 3,
        "direct_map_2M": 4096,
    }


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("MemAvailable", "mem_available"),
        ("Buffers", "buffers"),
        ("SwapCached", "swap_cached"),
        ("Active(anon)", "active_anon"),
        ("AnonHugePages", "anon_hugepages"),
        ("HugePages_Rsvd", "hugepages_rsvd"),
        ("Hugepagesize", "hugepagesize"),
        ("Hugetlb", "hugetlb"),
        ("KReclaimable", "k_reclaimable"),
        ("SUnreclaim", "s_unreclaim"),
        ("NFS_Unstable", "nfs_unstable"),
        ("Committed_AS", "committed_as"),
        ("VmallocTotal", "vmalloc_total"),
        ("Percpu", "per_cpu"),
        ("DirectMap4k", "direct_map_4k"),
        ("DirectMap1G", "direct_map_1G"),
    ],
)
def test_names_of_memory(name: str, item: str) -> None:
    assert memory_item(name) == item


def test_interfaces(tmp_path: Path) -> None:
    numbers = " ".join(map(str, range(1, 17)))
    text = f"Inter-|\n face |\n    lo: {numbers}\n  eth0:{numbers}\n"
    found = families(tmp_path, "net/dev", text)["kata_guest_netdev_stat"]
    assert values(found, interface="lo") == values(found, interface="eth0")
    eth0 = values(found, interface="eth0")
    assert (eth0["recv_bytes"], eth0["recv_multicast"]) == (1, 8)
    assert (eth0["sent_bytes"], eth0["sent_colls"], eth0["sent_compressed"]) == (
        *(9, 14),
        16,
    )


@pytest.mark.parametrize("columns", [11, 15, 17])
def test_disks_of_older_and_newer_kernels(tmp_path: Path, columns: int) -> None:
    numbers = " ".join(map(str, range(1, columns + 1)))
    text = f" 254 0 vda {numbers}\n"
    found = families(tmp_path, "diskstats", text)["kata_guest_diskstat"]
    disk = values(found, disk="vda")
    assert len(disk) == columns
    assert (disk["reads"], disk["weighted_time_in_progress"]) == (1, 11)
