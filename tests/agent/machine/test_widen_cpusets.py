# SPDX-License-Identifier: Apache-2.0
"""The CPUs of containers after a hotplug, in trees like those of cgroup v1 and v2."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from kata_agent.machine.widen_cpusets import possible_cpus, widen_cpusets
from kata_agent.system_paths import SystemPaths

CGROUPS = ("pod/a", "pod/b", "other/c")


def tree(root: Path, *, unified: bool) -> tuple[SystemPaths, Path]:
    """A guest with CPUs 0 to 3, whose cgroups were made when it had only CPU 0."""
    paths = SystemPaths(sys=root)
    online = root / "devices/system/cpu/online"
    online.parent.mkdir(parents=True)
    online.write_text("0-3\n")
    base = paths.cgroup if unified else paths.cgroup / "cpuset"
    for cgroup in CGROUPS:
        (base / cgroup).mkdir(parents=True)
    for directory in (base, *base.rglob("*")):
        (directory / "cpuset.cpus").write_text("" if unified else "0")
    if unified:
        (base / "cgroup.controllers").touch()
    return paths, base


def cpus(base: Path) -> dict[str, str]:
    return {
        str(file.parent.relative_to(base)): file.read_text()
        for file in base.rglob("cpuset.cpus")
    }


WANTED = [
    (PurePosixPath("/pod/a"), ""),
    (PurePosixPath("/pod/b"), "1-5"),
    (PurePosixPath("/gone"), "1"),
]


def test_v1_widens_the_cgroups_above_too(tmp_path: Path) -> None:
    paths, base = tree(tmp_path, unified=False)
    widen_cpusets(paths, WANTED)
    assert cpus(base) == {
        ".": "0",
        "pod": "0-3",
        "pod/a": "0-3",
        "pod/b": "1-3",
        "other": "0",
        "other/c": "0",
    }


def test_v2_writes_only_the_sets_that_were_asked_for(tmp_path: Path) -> None:
    paths, base = tree(tmp_path, unified=True)
    widen_cpusets(paths, WANTED)
    assert {path: text for path, text in cpus(base).items() if text} == {"pod/b": "1-3"}


@pytest.mark.parametrize(
    ("wanted", "possible"),
    [
        ("", "0-3"),
        ("0", "0"),
        ("0,1", "0-1"),
        ("1,3", "1,3"),
        ("2-3", "2-3"),
        ("2-4", "2-3"),
        ("7", "0-3"),
    ],
)
def test_the_online_cpus_out_of_the_wanted_ones_are_possible(
    wanted: str, possible: str
) -> None:
    assert possible_cpus(wanted, "0-3") == possible
