# SPDX-License-Identifier: Apache-2.0
"""Killing processes with their descendants, in a pid namespace of the test's own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from kata_agent.linux.process_tree import kill_tree
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
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
        kill_tree(child.pid)
        assert await child.wait() == 137
        while len(_processes()) > 2:
            await asyncio.sleep(0.001)
        assert other.exit_code is None


def _processes() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*")]


def test_no_process_is_fine() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    kill_tree(pid)
