# SPDX-License-Identifier: Apache-2.0
"""A container's cgroup: each test with version 1, then with version 2."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading
from pathlib import Path, PurePosixPath
from unittest.mock import patch

import pytest

from kata_agent.cgroup import cgroup_v2
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.open import open_cgroup
from kata_agent.linux.last_place import NICE
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
from tests.helpers.namespace import CGROUP_ROOT, World, in_namespaces

BOMB = "while :; do (while :; do :; done) & sleep 0.001; done"


def make_cgroups(*paths: str) -> list[Path]:
    """Make cgroups in every hierarchy; return the roots of the hierarchies."""
    is_v2 = (CGROUP_ROOT / "cgroup.controllers").exists()
    roots = [CGROUP_ROOT] if is_v2 else list(CGROUP_ROOT.iterdir())
    for root in roots:
        for path in paths:
            (root / path).mkdir()
            if root.name == "cpuset":
                # A v1 cpuset takes no process before it has CPUs and nodes.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (root / path / file).write_text((root / file).read_text())
    return roots


@in_namespaces("v1", "v2")
async def test_a_cgroup_is_frozen_killed_waited_for_and_removed(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/a/b"), FileWatches())
    roots = make_cgroups("a", "a/b", "a/b/c")
    assert cgroup.pids() == []
    assert cgroup.exists()
    assert not cgroup.is_in_use()
    assert await cgroup.kill()
    await cgroup.wait_for_empty()
    with Reaper() as reaper:
        child = reaper.spawn(Command(["sh", "-c", 'read x; exec sh -c "$0"', BOMB]))
        for root in roots:
            (root / "a/b/c/cgroup.procs").write_text(str(child.pid))
        assert child.pid in cgroup.pids()
        assert cgroup.is_in_use()
        await cgroup.freeze(5)
        await cgroup.thaw()
        await cgroup.freeze(5)
        assert not cgroup.try_remove()
        await cgroup.kill()
        assert await asyncio.wait_for(child.wait(), 5) == 137
        await asyncio.wait_for(cgroup.wait_for_empty(), 5)
        assert await cgroup.kill()
        assert cgroup.try_remove()
        assert not cgroup.exists()
        await cgroup.remove()
        assert not any((root / "a/b").exists() for root in roots)
        assert all((root / "a").exists() for root in roots)


@in_namespaces("v1", "v2")
async def test_a_fork_bomb_dies(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/bomb"), FileWatches())
    roots = make_cgroups("bomb")
    with Reaper() as reaper:
        reader, writer = os.pipe()
        child = reaper.spawn(Command(["sh", "-c", f"read x; {BOMB}"], stdin=reader))
        os.close(reader)
        for root in roots:
            (root / "bomb/cgroup.procs").write_text(str(child.pid))
        os.write(writer, b"go\n")
        async with asyncio.timeout(10):
            while len(cgroup.pids()) < 20:
                await asyncio.sleep(0.001)
            await cgroup.kill()
            await cgroup.wait_for_empty()
        assert cgroup.pids() == []
        assert await child.wait() == 137
        await cgroup.remove()
        os.close(writer)


@in_namespaces("v1", "v2")
async def test_a_kill_needs_no_thread(world: World) -> None:
    """A fork bomb without a limit takes the guest's last ones."""
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/bomb"), FileWatches())
    roots = make_cgroups("bomb")
    with Reaper() as reaper:
        child = reaper.spawn(Command(["sleep", "1000"]))
        for root in roots:
            (root / "bomb/cgroup.procs").write_text(str(child.pid))
        with patch("_thread.start_new_thread", side_effect=RuntimeError):
            await cgroup.prepare_kill()
            assert child.exit_code is None
            await cgroup.kill()
        async with asyncio.timeout(10):
            assert await child.wait() == 137
            await cgroup.wait_for_empty()
        await cgroup.remove()


THREADS = """
import threading, time
for _ in range(300):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print(flush=True)
time.sleep(1000)
"""


def nice_values(pid: int) -> set[int]:
    """The nice values of a process's threads: field 19 of man 5 proc_pid_stat."""
    files = Path(f"/proc/{pid}/task").glob("*/stat")
    return {int(file.read_text().rpartition(")")[2].split()[16]) for file in files}


@in_namespaces("v1", "v2")
async def test_a_crowd_that_is_to_be_killed_comes_last(world: World) -> None:
    """Its threads count, whether they are of one process or of many."""
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    roots = make_cgroups("c", "c/below")
    with Reaper() as reaper:
        said, say = os.pipe()
        program = [sys.executable, "-S", "-c", THREADS]
        crowd = reaper.spawn(Command(program, stdout=say))
        single = reaper.spawn(Command(["sleep", "1000"]))
        for root in roots:
            (root / "c/below/cgroup.procs").write_text(str(crowd.pid))
        assert os.read(said, 10) == b"\n"
        usual = nice_values(single.pid)
        assert nice_values(crowd.pid) == usual
        await cgroup.prepare_kill()
        assert nice_values(crowd.pid) == {NICE}
        assert nice_values(single.pid) == usual
        async with asyncio.timeout(10):
            await cgroup.kill()
            assert await crowd.wait() == 137
            await cgroup.wait_for_empty()
        await cgroup.remove()
        single.send_signal(9)
        await single.wait()


FORK = """
read go; mkfifo gate; i=0
while [ $i -lt 300 ]; do : < gate & i=$((i + 1)); done
trap "echo > went_on" CHLD; echo; wait
"""


@in_namespaces("v1", "v2")
async def test_no_process_of_a_crowd_sees_the_end_of_another(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    roots = make_cgroups("c")
    os.chdir("/run")
    with Reaper() as reaper:
        go, start = os.pipe()
        said, say = os.pipe()
        child = reaper.spawn(Command(["sh", "-c", FORK], stdin=go, stdout=say))
        for root in roots:
            (root / "c/cgroup.procs").write_text(str(child.pid))
        os.write(start, b"go\n")
        assert os.read(said, 10) == b"\n"
        assert len(cgroup.pids()) == 301
        async with asyncio.timeout(30):
            await cgroup.kill()
            assert await child.wait() == 137
            await cgroup.wait_for_empty()
            await cgroup.remove()
        assert not Path("went_on").exists()


@in_namespaces("v2")
async def test_two_kills_of_a_crowd_at_once_leave_nothing_frozen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is started there next would never run, nor end."""
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    (root,) = make_cgroups("c")
    numbers = itertools.count()
    second, first_done = threading.Event(), threading.Event()

    def meet(pids: object) -> None:
        if next(numbers) == 0:
            # Not even after a while is another one here.
            assert not second.wait(0.2)
        else:
            second.set()
            first_done.wait(10)

    async def prepare() -> None:
        await cgroup.prepare_kill()
        first_done.set()

    monkeypatch.setattr(cgroup_v2, "CROWD", 1)
    monkeypatch.setattr(cgroup_v2, "kill_in_slices", meet)
    with Reaper() as reaper:
        child = reaper.spawn(Command(["sleep", "1000"]))
        (root / "c/cgroup.procs").write_text(str(child.pid))
        await asyncio.gather(prepare(), prepare())
        assert next(numbers) == 2
        assert (root / "c/cgroup.freeze").read_text() == "0\n"
        # A pause is left as it is.
        await cgroup.freeze(5)
        await cgroup.prepare_kill()
        assert (root / "c/cgroup.freeze").read_text() == "1\n"
        await cgroup.kill()
        async with asyncio.timeout(10):
            assert await child.wait() == 137
            await cgroup.wait_for_empty()
        await cgroup.remove()


@in_namespaces("v1", "v2")
async def test_statistics_and_the_removal_of_a_limit(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    make_cgroups("c")
    stats = cgroup.stats()
    assert stats.HasField("cpu_stats")
    for limit in ("memory.limit", "cpu.quota", "pids.limit"):
        # Without its controller, there is nothing to remove.
        cgroup.remove_limit(limit)


@in_namespaces("v1", "v2")
async def test_a_cgroup_that_is_not_there_is_empty(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/none"), FileWatches())
    assert cgroup.pids() == []
    assert not cgroup.exists()
    assert await cgroup.kill()
    await cgroup.wait_for_empty()
    assert cgroup.try_remove()
    cgroup.remove_limit("memory.limit")
    cgroup.watch_oom(lambda: None)()
    await cgroup.remove()


@in_namespaces("v1", "v2")
async def test_a_kill_that_finds_no_process_says_so(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/a"), FileWatches())
    roots = make_cgroups("a", "a/b")
    with Reaper() as reaper:
        child = reaper.spawn(Command(["sleep", "1000"]))
        for root in roots:
            (root / "a/b/cgroup.procs").write_text(str(child.pid))
        while not await cgroup.kill():
            await cgroup.wait_for_empty()
        assert not cgroup.is_in_use()
        assert await child.wait() == 137
    await cgroup.remove()


FREEZE = """
mkdir a a/b a/b/c
sleep 1000 & echo $! > a/b/c/cgroup.procs
for cgroup in a/b/c a/b; do echo $0 > $cgroup/$1; done
echo frozen
sleep 1000
"""


@in_namespaces("v1", "v2")
async def test_processes_that_a_container_froze_itself_are_killed(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    roots = make_cgroups("c")
    is_v2 = world.version == "v2"
    files = ("1", "cgroup.freeze") if is_v2 else ("FROZEN", "freezer.state")
    top = (CGROUP_ROOT if is_v2 else CGROUP_ROOT / "freezer") / "c"
    with Reaper() as reaper:
        go, start = os.pipe()
        said, say = os.pipe()
        script = f"read x; cd {top}; {FREEZE}"
        child = reaper.spawn(
            Command(["sh", "-c", script, *files], stdin=go, stdout=say)
        )
        os.close(go)
        os.close(say)
        for root in roots:
            (root / "c/cgroup.procs").write_text(str(child.pid))
        os.write(start, b"go\n")
        assert os.read(said, 10) == b"frozen\n"
        await cgroup.freeze(5)
        async with asyncio.timeout(10):
            # One kill is enough: a client sends one signal.
            await cgroup.kill()
            assert await child.wait() == 137
            await cgroup.wait_for_empty()
            await cgroup.remove()
        assert not top.exists()


@in_namespaces("v1", "v2")
async def test_a_thaw_leaves_what_the_container_froze_itself(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    make_cgroups("c", "c/own")
    is_v2 = world.version == "v2"
    word, file = ("1", "cgroup.freeze") if is_v2 else ("FROZEN", "freezer.state")
    own = (CGROUP_ROOT if is_v2 else CGROUP_ROOT / "freezer") / "c/own" / file
    own.write_text(word)
    await cgroup.freeze(5)
    await cgroup.thaw()
    assert own.read_text() == f"{word}\n"


@in_namespaces("v2")
async def test_processes_of_a_threaded_cgroup_are_killed(world: World) -> None:
    cgroup = open_cgroup(CGROUP_ROOT, PurePosixPath("/c"), FileWatches())
    make_cgroups("c")
    with Reaper() as reaper:
        child = reaper.spawn(Command(["sleep", "1000"]))
        try:
            (CGROUP_ROOT / "c/cgroup.type").write_text("threaded")
        except OSError:
            # A host whose cgroup gives controllers of memory to children refuses that.
            child.send_signal(9)
            return
        (CGROUP_ROOT / "c/cgroup.threads").write_text(str(child.pid))
        async with asyncio.timeout(10):
            await cgroup.kill()
            assert await child.wait() == 137
            await cgroup.wait_for_empty()
            await cgroup.remove()
