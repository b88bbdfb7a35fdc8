# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from kata_agent.cgroup.cgroup_v1 import CgroupV1
from kata_agent.cgroup.cgroup_v2 import CgroupV2
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.open import is_unified, open_cgroup, to_path
from kata_agent.errors import InvalidArgument


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/c1"),
        ("/a/b", "/a/b"),
        ("a/b", "/a/b"),
        ("//a", "/a"),
        ("system.slice:kata:c1", "/system.slice/kata/c1"),
        (":kata:c1", "/kata/c1"),
    ],
)
def test_a_path_may_be_absolute_relative_or_systemd_s(given: str, path: str) -> None:
    assert to_path(given, "c1") == PurePosixPath(path)


@pytest.mark.parametrize("given", ["/", ":", "", "//"])
def test_a_path_of_separators_alone_is_the_container_s_own(given: str) -> None:
    assert to_path(given, "c1") == PurePosixPath("/c1")


@pytest.mark.parametrize("given", ["..", "/a/../b", "a:..:b", ".", "a\0b", "a\nb"])
def test_a_path_that_leaves_the_hierarchy_or_is_its_root_is_refused(given: str) -> None:
    with pytest.raises(InvalidArgument, match="container 'c1': invalid cgroups path"):
        to_path(given, "c1")


@pytest.mark.parametrize("given", ["é" * 128, "/a" * 2000, "a/" * 2000])
def test_a_path_that_no_cgroup_can_have_is_refused(given: str) -> None:
    with pytest.raises(InvalidArgument, match="container 'c1': invalid cgroups path"):
        to_path(given, "c1")
    assert to_path("é" * 127, "c1") == PurePosixPath("/", "é" * 127)


@pytest.mark.parametrize(("unified", "version"), [(True, CgroupV2), (False, CgroupV1)])
def test_the_version_is_that_of_the_hierarchy(
    tmp_path: Path, unified: bool, version: type
) -> None:
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    directory = tmp_path / ("" if unified else "memory") / "pod/c1"
    directory.mkdir(parents=True)
    (directory / "cgroup.procs").write_text("7\n")
    assert is_unified(tmp_path) is unified
    cgroup = open_cgroup(tmp_path, PurePosixPath("/pod/c1"), FileWatches())
    assert type(cgroup) is version
    assert cgroup.pids() == [7]
