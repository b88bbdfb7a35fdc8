# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.local_cgroup import Hierarchy, hierarchies

UNIFIED = "0::/user.slice/session-1.scope\n"
LEGACY = "3:name=systemd:/a\n2:cpu,cpuacct:/b\n1:memory:/\n"
HYBRID = LEGACY + "0::/a\n"
NAMED_ONLY = "1:name=systemd:/a\n0::/a\n"


def versions(table: str, version: str = "auto") -> set[str]:
    return {"v2" if h.is_v2 else "v1" for h in hierarchies(version, table)}


@pytest.mark.parametrize(
    ("table", "version"),
    [(UNIFIED, "v2"), (LEGACY, "v1"), (HYBRID, "v1"), (NAMED_ONLY, "v2")],
)
def test_the_version_is_the_one_with_the_hosts_controllers(
    table: str, version: str
) -> None:
    assert versions(table) == {version}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_hybrid_host_has_either(version: str) -> None:
    assert versions(HYBRID, version) == {version}


@pytest.mark.parametrize(("table", "version"), [(UNIFIED, "v1"), (LEGACY, "v2")])
def test_a_version_that_the_host_lacks_is_refused(table: str, version: str) -> None:
    with pytest.raises(ValueError, match=f"'{version}' is not on this host"):
        hierarchies(version, table)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown cgroup version 'v3'"):
        hierarchies("v3", HYBRID)


def test_guests_live_below_the_caller_in_v1_and_below_the_root_in_v2() -> None:
    systemd, cpu, memory = hierarchies("v1", HYBRID)
    assert systemd == Hierarchy("name=systemd", "/a")
    assert systemd.parent == "/sys/fs/cgroup/systemd/a"
    assert cpu.parent == "/sys/fs/cgroup/cpu,cpuacct/b"
    assert memory.parent == "/sys/fs/cgroup/memory"
    (unified,) = hierarchies("v2", HYBRID)
    assert unified.parent == "/sys/fs/cgroup"


def test_a_path_with_colons_is_kept_whole() -> None:
    (unified,) = hierarchies("v2", "0::/a:b:c\n")
    assert unified.own == "/a:b:c"
