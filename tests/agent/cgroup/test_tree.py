# SPDX-License-Identifier: Apache-2.0
"""Walks with directories in place of cgroups; `test_cgroup` has the kernel's."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from kata_agent.cgroup import tree
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces


def test_a_walk_yields_children_before_their_parents(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    names = [os.readlink(f"/proc/self/fd/{fd}") for fd in tree.walk(tmp_path)]
    assert len(names) == 6
    assert names[-1] == str(tmp_path)
    for index, name in enumerate(names):
        assert os.path.dirname(name) not in names[:index]


def test_a_cgroup_that_goes_meanwhile_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    seen = 0
    for _ in tree.walk(tmp_path):
        seen += 1
        if seen == 1:
            for name in "abc":
                (tmp_path / name).rmdir()
    assert seen == 2


def nest(top: Path, depth: int, name: str) -> None:
    """Make directories deeper than a path may be long."""
    directory = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


def test_neither_paths_nor_descriptors_nor_the_stack_limit_the_depth(
    tmp_path: Path,
) -> None:
    depth = 1100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        nest(tmp_path, depth, "n" * 50)
        assert sum(1 for _ in tree.walk(tmp_path)) == depth + 1
        assert not tree.has_processes(tmp_path)
        assert tree.remove(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not tmp_path.exists()


def test_the_pids_of_the_whole_tree_are_read(tmp_path: Path) -> None:
    assert tree.pids(tmp_path / "none") == []
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "cgroup.procs").write_text("7\n0\n")
    (tmp_path / "a/cgroup.procs").write_text("")
    (tmp_path / "a/b/cgroup.procs").write_text("9\n8\n")
    assert tree.pids(tmp_path) == [7, 8, 9]
    assert tree.has_processes(tmp_path)
    (tmp_path / "a/b/cgroup.procs").write_text("")
    (tmp_path / "cgroup.procs").write_text("0\n")
    assert not tree.has_processes(tmp_path)


def test_what_is_in_use_stays_and_the_rest_is_removed(tmp_path: Path) -> None:
    for name in ("a/b", "c", "d/e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/file").touch()
    assert not tree.remove(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]


@in_namespaces("v2")
async def test_the_processes_of_a_threaded_cgroup_are_found(world: World) -> None:
    top = CGROUP_ROOT / "threaded"
    top.mkdir()
    try:
        (top / "cgroup.type").write_text("threaded")
    except OSError:
        # A host whose cgroup gives controllers of memory to children refuses that.
        return
    (top / "cgroup.threads").write_text(str(os.getpid()))
    assert tree.pids(top) == [os.getpid()]
    (CGROUP_ROOT / "cgroup.threads").write_text(str(os.getpid()))
    assert tree.pids(top) == []
    assert tree.remove(top)
