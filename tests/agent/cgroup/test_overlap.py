# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from kata_agent.cgroup.overlap import overlap, own_cgroups


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b/c", "/a", True),
        ("/a/b", "/a/c", False),
        ("/ab", "/a", False),
        ("/a", "/b/a", False),
    ],
)
def test_a_cgroup_overlaps_those_above_and_below(
    one: str, other: str, expected: bool
) -> None:
    assert overlap(PurePosixPath(one), PurePosixPath(other)) is expected
    assert overlap(PurePosixPath(other), PurePosixPath(one)) is expected


def test_the_agent_s_cgroups_are_those_of_the_mounted_version(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(
        "3:name=systemd:/system.slice/a:b\n2:cpu,cpuacct:/\n1:memory:/m\n0::/unified\n"
    )
    v1 = [PurePosixPath("/system.slice/a:b"), PurePosixPath("/m")]
    assert list(own_cgroups(tmp_path, unified=False)) == v1
    assert list(own_cgroups(tmp_path, unified=True)) == [PurePosixPath("/unified")]
