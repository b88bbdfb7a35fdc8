# SPDX-License-Identifier: Apache-2.0
"""The kernel's /proc/meminfo, and malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.machine.memory_info import parse_memory_info, read_memory_total


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "hello:",
        "hello: world",
        "hello: world:",
        "MemTotal:",
        "MemTotal:      ",
        "MemTotal: foo:     13",
        "MemTotal: \n",
    ],
)
def test_a_file_without_the_total_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "meminfo").write_text(text)
    with pytest.raises(Internal, match="meminfo: no MemTotal"):
        read_memory_total(tmp_path / "meminfo")


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("MemTotal:      13\n", "13"),
        ("MemTotal:  2047000 kB\nMemFree: 1 kB", "2047000 kB"),
    ],
)
def test_the_total_keeps_its_unit(tmp_path: Path, text: str, total: str) -> None:
    (tmp_path / "meminfo").write_text(text)
    assert read_memory_total(tmp_path / "meminfo") == total


def test_the_kernel_s_own_file_is_read() -> None:
    names = [name for name, _ in parse_memory_info(Path("/proc/meminfo").read_text())]
    assert {"MemTotal", "MemFree", "MemAvailable", "SwapTotal"} <= set(names)
    assert read_memory_total(Path("/proc/meminfo")).endswith(" kB")
