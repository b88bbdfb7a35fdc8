# SPDX-License-Identifier: Apache-2.0
"""Walks with directories in place of cgroups; `test_local_guest` has the kernel's."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from kata_host.guest import local_cgroup_tree as tree
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces


def test_cgroups_deeper_than_a_path_are_walked_and_removed(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("n" * 200, dir_fd=directory)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    assert sum(1 for _ in tree.walk(str(tmp_path))) == 31
    assert tree.endings(str(tmp_path)) == []
    assert tree.remove(str(tmp_path))
    assert not tmp_path.exists()
    assert tree.remove(str(tmp_path))


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/file").touch()
    assert not tree.remove(str(tmp_path))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]


def test_a_process_of_another_namespace_lives(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("0\n")
    assert tree.endings(str(tmp_path)) == [False]


async def test_a_zombie_has_been_killed_and_the_others_live(tmp_path: Path) -> None:
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / "cgroup.procs").write_text(f"{pid}\n")
    assert tree.endings(str(tmp_path)) == [True]
    (tmp_path / "cgroup.procs").write_text(f"{pid}\n{os.getpid()}\n")
    assert sorted(tree.endings(str(tmp_path))) == [False, True]
    os.waitpid(pid, 0)


@in_namespaces("v1")
async def test_a_frozen_process_ends_by_its_kill_only_after_the_thaw(
    world: World,
) -> None:
    top = CGROUP_ROOT / "freezer/a"
    (top / "b").mkdir(parents=True)
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    (top / "b/cgroup.procs").write_text(str(sleeper.pid))
    (top / "b/freezer.state").write_text("FROZEN")
    assert tree.endings(str(top)) == [False]
    sleeper.send_signal(signal.SIGKILL)
    assert tree.endings(str(top)) == [True]
    assert not tree.remove(str(top))
    tree.thaw(str(top))
    assert await sleeper.wait() == -9
    assert tree.endings(str(top)) == []
