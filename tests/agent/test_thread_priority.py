# SPDX-License-Identifier: Apache-2.0
"""Nice values in a local guest: of the agent, and of the processes that it starts.

A session has one of its own, in `/proc/PID/autogroup`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.stage import Stage, agent_pid, open_stage
from kata_agent.blocking import blocking
from kata_agent.thread_priority import NICE, SESSION_NICE
from kata_host.client.spec import default_process

SHOW = "cut -d ' ' -f 19 /proc/self/stat"
AUTOGROUP = "/proc/self/autogroup"
needs_autogroups = pytest.mark.skipif(
    not os.path.exists(AUTOGROUP), reason="needs a kernel with autogroups"
)


def nice_of(stat: Path) -> int:
    """Field 19 of man 5 proc_pid_stat."""
    return int(stat.read_text().rpartition(")")[2].split()[16])


async def nice_values(stage: Stage) -> tuple[int, int, int]:
    """Return the values of the agent's event loop, a container and an exec."""
    pid = agent_pid(stage.guest)
    spec = stage.spec("c1", "sh", "-c", f"{SHOW}; sleep 1000")
    container = await stage.client.create_container("c1", spec)
    await container.start()
    init = await anext(container.init.read_stdout())
    process = await container.exec("e1", default_process(["sh", "-c", SHOW]))
    result = await process.communicate()
    await container.remove()
    return nice_of(Path(f"/proc/{pid}/stat")), int(init), int(result.stdout)


@pytest.mark.root
async def test_the_agent_comes_before_the_processes_of_containers() -> None:
    async with open_stage() as stage:
        assert await nice_values(stage) == (NICE, 0, 0)


@pytest.mark.root
async def test_an_agent_that_was_started_with_a_nice_value_keeps_it() -> None:
    command = ["nice", "-n", "5", sys.executable, "-m", "kata_agent"]
    async with open_stage(command) as stage:
        assert await nice_values(stage) == (5, 5, 5)


@pytest.mark.root
async def test_a_thread_that_blocks_comes_before_them_too() -> None:
    """It holds the interpreter's lock at times, and the event loop waits for that."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    found = await blocking(os.getpriority, os.PRIO_PROCESS, 0)
    assert found == (NICE if usual == 0 else usual)


def session_nice(autogroup: str) -> int:
    """The value of a line `/autogroup-NUMBER nice VALUE`."""
    return int(autogroup.split()[-1])


@pytest.mark.root
@needs_autogroups
async def test_the_agents_session_comes_before_those_of_containers() -> None:
    """A process that ends leaves its session, and counts as much as a whole one."""
    async with open_stage() as stage:
        container = await stage.started("c1", "cat", AUTOGROUP)
        result = await container.init.communicate()
        assert session_nice(result.stdout.decode()) == 0
        autogroup = Path(f"/proc/{agent_pid(stage.guest)}/autogroup")
        assert session_nice(autogroup.read_text()) == SESSION_NICE


@pytest.mark.root
@needs_autogroups
async def test_a_session_that_was_given_a_nice_value_keeps_it() -> None:
    program = f"echo 3 > {AUTOGROUP}; exec {sys.executable} -m kata_agent"
    async with open_stage(["sh", "-c", program]) as stage:
        autogroup = Path(f"/proc/{agent_pid(stage.guest)}/autogroup")
        assert session_nice(autogroup.read_text()) == 3


@pytest.mark.root
@needs_autogroups
async def test_the_session_of_the_shell_that_started_it_keeps_its_place() -> None:
    script = (
        "import os; from kata_agent.thread_priority import prefer_session as prefer;"
        f"prefer() if os.fork() == 0 else os.wait(); print(open('{AUTOGROUP}').read())"
    )
    shell = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, start_new_session=True, stdout=subprocess.PIPE
    )
    output, _ = await shell.communicate()
    assert [session_nice(line) for line in output.decode().split("\n") if line] == [
        0,
        0,
    ]
