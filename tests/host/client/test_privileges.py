# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.client.privileges import ALL, adjusted_capabilities, parse_rlimit
from kata_host.client.spec import CAPABILITIES


def test_capabilities_are_taken_and_given() -> None:
    assert list(adjusted_capabilities([], [])) == list(CAPABILITIES)
    names = adjusted_capabilities(["sys_admin", "CAP_KILL"], ["ALL"])
    assert names == ["CAP_SYS_ADMIN", "CAP_KILL"]
    assert "CAP_CHOWN" not in adjusted_capabilities([], ["chown"])
    assert len(adjusted_capabilities(["all"], [])) == len(ALL)
    with pytest.raises(ValueError, match="capability 'FLY': unknown"):
        adjusted_capabilities(["FLY"], [])


def test_every_capability_of_the_kernel_is_known() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert len(ALL) == len(set(ALL)) >= last + 1


def test_a_limit_of_a_process_is_read() -> None:
    limit = parse_rlimit("nofile=64:128")
    assert (limit.Type, limit.Soft, limit.Hard) == ("RLIMIT_NOFILE", 64, 128)
    assert parse_rlimit("core=0").Hard == 0
    assert parse_rlimit("memlock=-1").Soft == 2**64 - 1


@pytest.mark.parametrize(
    "text", ["", "nofile", "fly=1", "nofile=x", "nofile=2:1", "nofile=1:", "nofile=-2"]
)
def test_no_limit_of_a_process(text: str) -> None:
    with pytest.raises(ValueError, match="^ulimit "):
        parse_rlimit(text)
