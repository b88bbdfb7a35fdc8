# SPDX-License-Identifier: Apache-2.0
"""The cgroup of the debug console's shells, in the versions of this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kata_agent.console import shell_cgroup
from kata_agent.console.shell_cgroup import WEIGHTS, ShellCgroup, open_shell_cgroup
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces

PATIENCE = 20.0
DIRECTORY = Path("/sys/fs/cgroup/cpu/kata-agent-shells")
PROCS = DIRECTORY / "cgroup.procs"


def opened(reaper: Reaper) -> ShellCgroup:
    cgroup = open_shell_cgroup(SystemPaths(), reaper)
    assert cgroup is not None
    return cgroup


async def wait_until_removed() -> None:
    async with asyncio.timeout(PATIENCE):
        while DIRECTORY.exists():
            await asyncio.sleep(0.001)


@in_namespaces("v1")
async def test_what_a_shell_leaves_behind_keeps_it_until_that_has_ended(
    world: World,
) -> None:
    with Reaper() as reaper:
        cgroup = opened(reaper)
        removing = asyncio.create_task(cgroup.remove_when_left())
        assert not DIRECTORY.exists()
        begin, begun = os.pipe()
        shell = reaper.spawn(
            Command(["sh", "-c", "read x; (sleep 1000 &)"], stdin=begin)
        )
        os.close(begin)
        await cgroup.add(shell.pid)
        assert PROCS.read_text().split() == [str(shell.pid)]
        assert (DIRECTORY / "cpu.shares").read_text().strip() == WEIGHTS["cpu.shares"]
        os.write(begun, b"\n")
        os.close(begun)
        await shell.wait()
        cgroup.left()
        await cgroup.remove()
        (left,) = PROCS.read_text().split()
        os.kill(int(left), 9)
        await wait_until_removed()
        # Another shell makes it again.
        shell = reaper.spawn(Command(["sleep", "1000"], new_session=True))
        await cgroup.add(shell.pid)
        assert PROCS.read_text().split() == [str(shell.pid)]
        await shell.kill_tree()
        cgroup.left()
        await wait_until_removed()
        removing.cancel()


@in_namespaces("v1")
async def test_a_shell_that_cannot_be_moved_stays_where_it_is(world: World) -> None:
    with Reaper() as reaper:
        ended = reaper.spawn(Command(["true"]))
        await ended.wait()
        cgroup = opened(reaper)
        await cgroup.add(ended.pid)
        assert not PROCS.read_text()
        await cgroup.remove()
        assert not DIRECTORY.exists()
        shell = reaper.spawn(Command(["sleep", "1000"], new_session=True))
        missing = ShellCgroup(DIRECTORY / "no" / "such", "cpu.shares", reaper)
        await missing.add(shell.pid)
        assert str(shell.pid) in (DIRECTORY.parent / "cgroup.procs").read_text().split()
        await shell.kill_tree()


@in_namespaces("v1")
async def test_a_cgroup_that_cannot_be_changed_holds_a_shell_up_for_a_bounded_time(
    world: World, tmp_path: Path
) -> None:
    # Nobody reads from it, so the thread that opens it hangs.
    os.mkfifo(tmp_path / "cgroup.procs")
    shell_cgroup.LONGEST_MOVE = 0.01  # type: ignore[misc]  # In a process of its own.
    with Reaper() as reaper:
        hanging = ShellCgroup(tmp_path, "cpu.shares", reaper)
        await hanging.add(os.getpid())


@in_namespaces("v2")
async def test_version_2_has_one_only_where_the_cpu_controller_is_shared_out(
    world: World,
) -> None:
    shared = Path("/sys/fs/cgroup/cgroup.subtree_control").read_text().split()
    with Reaper() as reaper:
        cgroup = open_shell_cgroup(SystemPaths(), reaper)
        assert (cgroup is not None) is ("cpu" in shared)


@pytest.mark.parametrize("table", [None, "0::/\n", "1:memory:/\n"])
def test_a_guest_without_a_cpu_controller_has_none(
    tmp_path: Path, table: str | None
) -> None:
    paths = SystemPaths(proc=tmp_path / "proc", sys=tmp_path / "sys")
    if table is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(table)

    async def open_one() -> ShellCgroup | None:
        with Reaper() as reaper:
            return open_shell_cgroup(paths, reaper)

    assert asyncio.run(open_one()) is None
