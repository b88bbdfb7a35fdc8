# SPDX-License-Identifier: Apache-2.0
"""Killing processes with their descendants, in a pid namespace of the test's own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from unittest.mock import patch

from kata_agent.linux import last_place, process_tree
from kata_agent.linux.process_tree import kill_tree
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
from tests.helpers.descriptors import used_up
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_descendants_in_other_sessions_are_killed_too(world: World) -> None:
    script = "setsid -w sh -c 'setsid -w sleep 1000' & sleep 1000 & echo >ready; wait"
    os.chdir("/run")
    with Reaper() as reaper:
        other = reaper.spawn(Command(["sleep", "1000"]))
        child = reaper.spawn(Command(["sh", "-c", script]))
        while len(_processes()) < 6:
            await asyncio.sleep(0.001)
        await child.kill_tree()
        assert await child.wait() == 137
        while len(_processes()) > 2:
            await asyncio.sleep(0.001)
        assert other.exit_code is None


FORKS = """
import os, time
memory = bytearray(60_000_000)  # fork takes long to copy its page tables.
memory[::4096] = bytes(len(memory[::4096]))
print(flush=True)
while True:
    if not os.fork():
        os.setsid()
        time.sleep(1000)
"""


@in_namespaces("v2")
async def test_a_process_that_is_being_forked_is_killed_too(world: World) -> None:
    with Reaper() as reaper:
        for _ in range(5):
            said, say = os.pipe()
            program = [sys.executable, "-S", "-c", FORKS]
            child = reaper.spawn(Command(program, stdout=say))
            os.close(say)
            assert os.read(said, 1) == b"\n"
            os.close(said)
            while len(_processes()) < 5:
                await asyncio.sleep(0.001)
            await child.kill_tree()
            assert await child.wait() == 137
            async with asyncio.timeout(10):
                while len(_processes()) > 1:
                    await asyncio.sleep(0.001)


@in_namespaces("v2")
async def test_one_that_does_not_stop_holds_up_nothing(world: World) -> None:
    with Reaper() as reaper, patch.object(process_tree, "LONGEST_STOP", 0.1):
        child = reaper.spawn(Command(["sh", "-c", "sleep 1000 & sleep 1000 & wait"]))
        while len(_processes()) < 4:
            await asyncio.sleep(0.001)
        with patch.object(process_tree, "STOPPED", ()):
            await child.kill_tree()
        assert await child.wait() == 137
        while len(_processes()) > 1:
            await asyncio.sleep(0.001)


def _processes() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*")]


def test_no_process_is_fine() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    kill_tree(pid, pidfd)
    os.close(pidfd)


@in_namespaces("v2")
async def test_a_process_that_has_lost_its_parent_is_no_descendant(
    world: World,
) -> None:
    """Its pid may be that of any process, when the parent has been killed."""
    with Reaper() as reaper:
        other = reaper.spawn(Command(["sleep", "1000"]))
        child = reaper.spawn(Command(["sleep", "1000"]))
        with patch.object(
            process_tree, "_children", lambda *_: [other.pid, 1 << 22, child.pid]
        ):
            await child.kill_tree()
        assert await child.wait() == 137
        assert _state_of(other.pid) == "S"


@in_namespaces("v2")
async def test_a_guest_without_descriptors_kills_the_process_and_its_group(
    world: World,
) -> None:
    with Reaper() as reaper:
        for left in range(6):
            script = "sleep 1000 & sleep 1000 & wait"
            child = reaper.spawn(Command(["sh", "-c", script], new_session=True))
            while len(_processes()) < 4:
                await asyncio.sleep(0.001)
            with used_up(left=left):
                await child.kill_tree()
            assert await child.wait() == 137
            while len(_processes()) > 1:
                await asyncio.sleep(0.001)


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@in_namespaces("v2")
async def test_the_loop_goes_on_while_a_crowd_is_killed(world: World) -> None:
    script = "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i + 1)); done; wait"
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    with Reaper() as reaper:
        child = reaper.spawn(Command(["sh", "-c", script], new_session=True))
        while len(_processes()) < 502:
            await asyncio.sleep(0.01)
        turning = asyncio.create_task(turn())
        await child.kill_tree()
        turning.cancel()
        assert turns > 10
        assert await child.wait() == 137
        while len(_processes()) > 1:
            await asyncio.sleep(0.001)


@in_namespaces("v2")
async def test_descendants_give_way_before_they_are_killed(world: World) -> None:
    """`test_last_place` shows what that does to thousands."""
    found: list[int] = []
    with (
        Reaper() as reaper,
        patch.object(last_place, "CROWD", 1),
        patch.object(
            os, "setpriority", lambda _, pid, value: pid and found.append(pid)
        ),
    ):
        child = reaper.spawn(Command(["sh", "-c", "sleep 1000 & wait"]))
        while len(_processes()) < 3:
            await asyncio.sleep(0.001)
        below = {int(name) for name in _processes()} - {os.getpid(), child.pid}
        await child.kill_tree()
        assert await child.wait() == 137
        assert set(found) == below
