# SPDX-License-Identifier: Apache-2.0
"""Many short lives through one agent: nothing is lost, nothing is left."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.client import AgentClient
from guest.local import LocalGuest

RUNS = 200
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the agent holds, seen from the host."""

    descriptors: list[str]
    mounts: list[str]
    processes: int
    cgroups: int


def footprint(guest: LocalGuest) -> Footprint:
    (agent,) = Path(f"/proc/{guest.pid}/task/{guest.pid}/children").read_text().split()
    proc = Path("/proc", agent)
    # Into the guest's own mount namespace, through its root.
    cgroups = proc / "root/sys/fs/cgroup"
    return Footprint(
        sorted(os.readlink(fd).partition("[")[0] for fd in (proc / "fd").iterdir()),
        [line.split()[4] for line in (proc / "mountinfo").read_text().splitlines()],
        len((proc / "task" / agent / "children").read_text().split()),
        sum(len(directories) for _, directories, _ in os.walk(cgroups)),
    )


@pytest.mark.slow
async def test_two_hundred_runs_through_one_agent(
    guest: LocalGuest, client: AgentClient
) -> None:
    rootfs = str(guest.directory / "rootfs")
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(number: int) -> None:
        async with slots:
            result = await client.run(["echo", str(number)], rootfs=rootfs)
        assert (result.status, result.stdout, result.stderr) == (
            0,
            b"%d\n" % number,
            b"",
        )

    await run(0)  # What is made once and kept is there from now on.
    before = footprint(guest)
    async with asyncio.TaskGroup() as group:
        for number in range(1, RUNS):
            group.create_task(run(number))
    assert footprint(guest) == before
