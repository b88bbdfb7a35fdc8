# SPDX-License-Identifier: Apache-2.0
"""Version 1, with the kernel's hierarchies or with files in their place.

`test_cgroup` has the tests that both versions share.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath

import pytest

from kata_agent.cgroup.cgroup_v1 import UNLIMITED, CgroupV1
from kata_agent.errors import InvalidState, Unavailable
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces

PATH = PurePosixPath("pod/c1")


def tree(root: Path, *controllers: str) -> CgroupV1:
    for controller in controllers:
        (root / controller / PATH).mkdir(parents=True)
    return CgroupV1(root, PATH)


def test_any_hierarchy_gives_the_process_list(tmp_path: Path) -> None:
    cgroup = tree(tmp_path, "cpu")
    (cgroup.controller("cpu") / "cgroup.procs").write_text("7\n8\n")
    assert cgroup.pids() == [7, 8]
    # The freezer comes earlier in the list.
    tree(tmp_path, "freezer")
    (cgroup.controller("freezer") / "cgroup.procs").write_text("7\n")
    assert cgroup.pids() == [7]


async def test_without_a_freezer_nothing_is_frozen(tmp_path: Path) -> None:
    cgroup = tree(tmp_path, "memory")
    for act in (cgroup.freeze(1), cgroup.thaw()):
        with pytest.raises(Unavailable, match="cgroup 'c1': no freezer"):
            await act


async def test_without_a_freezer_processes_are_killed_all_the_same(
    tmp_path: Path,
) -> None:
    cgroup = tree(tmp_path, "pids")
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    (cgroup.controller("pids") / "cgroup.procs").write_text(f"{sleeper.pid}\n")
    await cgroup.kill()
    assert await sleeper.wait() == -9


async def test_a_cgroup_that_was_killed_is_not_frozen(tmp_path: Path) -> None:
    # A process that has SIGKILL pending would stay until the thaw.
    cgroup = tree(tmp_path, "freezer")
    state = cgroup.controller("freezer") / "freezer.state"
    state.write_text("FROZEN")
    sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
    procs = cgroup.controller("freezer") / "cgroup.procs"
    procs.write_text(f"{sleeper.pid}\n")
    (cgroup.controller("freezer") / "freezer.self_freezing").write_text("1\n")
    await cgroup.kill()
    assert await sleeper.wait() == -9
    with pytest.raises(InvalidState, match="cgroup 'c1': killed"):
        await cgroup.freeze(5)
    assert state.read_text() == "THAWED"


@pytest.mark.parametrize("limit", UNLIMITED)
def test_a_limit_is_removed_where_the_file_is(tmp_path: Path, limit: str) -> None:
    controller, name, value = UNLIMITED[limit]
    cgroup = tree(tmp_path, controller)
    file = cgroup.controller(controller) / name
    cgroup.remove_limit(limit)
    assert not file.exists()
    file.write_text("17 ")
    cgroup.remove_limit(limit)
    assert file.read_text().startswith(value)


@in_namespaces("v1")
async def test_the_kernel_takes_each_removal_of_a_limit(world: World) -> None:
    cgroup = CgroupV1(CGROUP_ROOT, PurePosixPath("c"))
    for controller in ("memory", "cpu", "pids"):
        cgroup.controller(controller).mkdir()
    limit = cgroup.controller("memory") / "memory.limit_in_bytes"
    unlimited = limit.read_text()
    limit.write_text(str(64 << 20))
    (cgroup.controller("pids") / "pids.max").write_text("7")
    for name in UNLIMITED:
        cgroup.remove_limit(name)
    assert limit.read_text() == unlimited
    assert (cgroup.controller("pids") / "pids.max").read_text() == "max\n"


@in_namespaces("v1")
async def test_a_shared_hierarchy_is_removed_once(world: World) -> None:
    # Where two controllers share a hierarchy, there is a symlink `cpu -> cpu,cpuacct`.
    os.symlink("memory", CGROUP_ROOT / "alias")
    cgroup = CgroupV1(CGROUP_ROOT, PurePosixPath("c"))
    (CGROUP_ROOT / "memory/c/inner").mkdir(parents=True)
    await cgroup.remove()
    assert not (CGROUP_ROOT / "memory/c").exists()
