# SPDX-License-Identifier: Apache-2.0
"""Real cgroup mounts, in a tree of their own."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from kata_agent.boot.cgroups import enable_controllers, mount_cgroups, v1_controllers
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces

TABLE = """\
#subsys_name\thierarchy\tnum_cgroups\tenabled
cpuset\t3\t1\t1
memory\t4\t18\t0
pids\t8\t1\t1

"""


def tree(root: Path, *controllers: str) -> SystemPaths:
    """Make a /proc/cgroups with `controllers` and an empty /sys/fs/cgroup."""
    paths = SystemPaths(proc=root / "proc", sys=root / "sys")
    paths.proc.mkdir()
    paths.cgroup.mkdir(parents=True)
    lines = "".join(f"{name}\t1\t1\t1\n" for name in controllers)
    (paths.proc / "cgroups").write_text(f"#subsys_name\t...\n{lines}")
    return paths


def bound_controllers() -> list[str]:
    """Return the v1 controllers that this machine has mounted.

    Mounting another one would take it from the machine's cgroup v2.
    """
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()]
    return [row[0] for row in rows[1:] if row[1] != "0" and row[3] == "1"]


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def test_the_enabled_controllers(tmp_path: Path) -> None:
    (tmp_path / "cgroups").write_text(TABLE)
    assert v1_controllers(tmp_path / "cgroups") == ["cpuset", "pids"]
    assert v1_controllers(tmp_path / "none") == []
    assert "memory" in v1_controllers(Path("/proc/cgroups"))


@in_namespaces("v1")
async def test_v1_has_a_tree_for_each_controller(world: World, tmp_path: Path) -> None:
    names = bound_controllers()
    paths = tree(tmp_path, *names, "nosuchcontroller")
    mount_cgroups(paths, unified=False)
    assert sorted(os.listdir(paths.cgroup)) == sorted(names)
    for name in names:
        assert (paths.cgroup / name / "cgroup.procs").exists()
    assert (paths.cgroup / "memory/memory.use_hierarchy").read_text() == "1\n"
    assert os.statvfs(paths.cgroup).f_flag & os.ST_RDONLY


@in_namespaces("v2")
async def test_v2_is_one_tree(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path, "memory")
    mount_cgroups(paths, unified=True)
    assert (paths.cgroup / "cgroup.controllers").exists()


@in_namespaces("v2")
async def test_v2_is_mounted_when_there_is_no_v1(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path)
    mount_cgroups(paths, unified=False)
    assert (paths.cgroup / "cgroup.controllers").exists()


@in_namespaces("v1")
async def test_no_controller_at_all_is_an_error(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path, "nosuchcontroller")
    with pytest.raises(OSError, match="no cgroup v1 controller could be mounted"):
        mount_cgroups(paths, unified=False)


@in_namespaces("v2")
async def test_a_mount_is_left_alone(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path, "memory")
    mount_cgroups(paths, unified=True)
    before = mounts()
    mount_cgroups(paths, unified=False)
    assert mounts() == before


def test_every_controller_is_enabled_on_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    control = tmp_path / "cgroup.subtree_control"
    # A named pipe keeps every write, where a file would keep the last.
    os.mkfifo(control)
    reader = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    enable_controllers(tmp_path)
    assert os.read(reader, 100) == b"+cpu+memory+pids"
    os.close(reader)
    control.unlink()
    control.mkdir()
    with caplog.at_level(logging.WARNING):
        enable_controllers(tmp_path)
    assert [record.__dict__["controller"] for record in caplog.records] == [
        "cpu",
        "memory",
        "pids",
    ]
