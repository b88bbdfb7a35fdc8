# SPDX-License-Identifier: Apache-2.0
"""Attributes of the calling process."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.namespace import in_new_thread
from kata_agent.linux.prctl import (
    effective_capabilities,
    has_capability,
    set_process_name,
)


def test_the_name_is_the_calling_threads() -> None:
    def rename() -> str:
        set_process_name("kata-agent-test")
        return Path("/proc/thread-self/comm").read_text()

    before = Path("/proc/self/comm").read_text()
    assert in_new_thread(rename) == "kata-agent-test\n"
    assert Path("/proc/self/comm").read_text() == before


@pytest.mark.parametrize(
    ("number", "expected"), [(24, True), (23, False), (0, True), (40, False)]
)
def test_a_capability_is_a_bit_of_the_effective_set(
    tmp_path: Path, number: int, expected: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(
        "CapPrm:\t000001ffffffffff\nCapEff:\t0000000001000001\n"
    )
    assert has_capability(number, tmp_path) is expected
    assert effective_capabilities(tmp_path) == 1 << 24 | 1
