# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.metrics.agent_process import agent_families
from kata_agent.metrics.family import Family
from kata_agent.system_paths import SystemPaths

STAT = (
    "1 (a ) b) S 0 1 1 0 -1 4194560 900 0 0 0 10 20 30 40 20 0 5 0 100 8192000 500 "
    "18446744073709551615 1 1 0 0 0 0 0\n"
)
STATUS = "Name:\ta\nVmRSS:\t   2000 kB\nThreads:\t5\nvoluntary_ctxt_switches:\t7\n"
IO = "rchar: 11\nread_bytes: 4096\n"


@pytest.fixture
def families(tmp_path: Path) -> dict[str, Family]:
    process = tmp_path / "self"
    process.mkdir()
    for name, text in (("stat", STAT), ("status", STATUS), ("io", IO)):
        (process / name).write_text(text)
    paths = SystemPaths(proc=tmp_path)
    return {family.name: family for family in agent_families(paths)}


def values(family: Family) -> dict[str, float]:
    return {labels.get("item", ""): value for labels, value in family.samples}


def test_fields_are_found_behind_any_name(families: dict[str, Family]) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    assert values(families["kata_agent_threads"]) == {"": 5}
    assert values(families["kata_agent_total_time"]) == {"": (10 + 20) / ticks}
    assert values(families["kata_agent_total_vm"]) == {"": 8192000}
    page_size = os.sysconf("SC_PAGE_SIZE")
    assert values(families["kata_agent_total_rss"]) == {"": 500 * page_size}
    assert values(families["kata_agent_proc_stat"]) == {
        "utime": 10,
        "stime": 20,
        "cutime": 30,
        "cstime": 40,
    }


def test_of_the_status_the_items_of_kata_are_taken(families: dict[str, Family]) -> None:
    assert values(families["kata_agent_proc_status"]) == {
        "vmrss": 2000,
        "voluntary_ctxt_switches": 7,
    }


def test_of_input_and_output_every_item_is_taken(families: dict[str, Family]) -> None:
    assert values(families["kata_agent_io_stat"]) == {"rchar": 11, "read_bytes": 4096}
