# SPDX-License-Identifier: Apache-2.0
"""Containers that may write their cgroup, as the images of systemd and Docker do.

Each test with both versions and both runtimes.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from bench.stage import agent_pid
from kata_host.client import AgentClient, GuestContainer
from kata_host.client.spec import default_process, default_spec
from kata_protos import agent_pb2
from tests.helpers.captured_world import World

FREEZE = """
cd $0; mkdir x x/y
sleep 1000 & echo $! > x/y/cgroup.procs
echo $1 > x/y/$2; echo $1 > x/$2
cat x/$2; sleep 1000
"""
NEST = """
cd $0
name=$(printf 'n%.0s' $(seq 200))
for i in $(seq 15); do mkdir $name && cd $name; done
# Deeper than a path may be long, so by a path that is relative.
mkdir -p $(for i in $(seq 15); do printf $name/; done) && echo nested
sleep 1000
"""
GROW = """
cd $0; i=0
while mkdir g$i; do i=$((i + 1)); [ $i = 200 ] && echo grows; done
"""


async def started(
    agent: AgentClient, world: World, script: str, *args: str
) -> GuestContainer:
    """Start a shell that may write its cgroup, and return when it has said a line."""
    process = default_process(["sh", "-c", script, *args])
    spec = default_spec("c1", process, rootfs=str(world.rootfs))
    for mount in spec.Mounts:
        if mount.destination == "/sys/fs/cgroup":
            mount.options[:] = [
                "rw" if word == "ro" else word for word in mount.options
            ]
    container = await agent.create_container("c1", spec, share_pids=False)
    await container.start()
    async with asyncio.timeout(30):
        await anext(container.init.read_stdout())
    return container


def hierarchy(world: World, controller: str) -> str:
    """Return the path that both the guest and a container have for a hierarchy."""
    return "/sys/fs/cgroup" + f"/{controller}" * (world.version == "v1")


def freeze_words(world: World) -> tuple[str, str, str]:
    """Return the directory of the freezer, and the word and file that freeze."""
    is_v1 = world.version == "v1"
    words = ("FROZEN", "freezer.state") if is_v1 else ("1", "cgroup.freeze")
    return hierarchy(world, "freezer"), *words


def cgroup_of(world: World, controller: str) -> Path:
    root = Path(f"/proc/{agent_pid(world.guest)}/root")
    return Path(f"{root}{hierarchy(world, controller)}/c1")


@pytest.mark.parametrize("paused", [False, True])
async def test_one_signal_ends_processes_that_the_container_froze(
    agent: AgentClient, world: World, paused: bool
) -> None:
    container = await started(agent, world, FREEZE, *freeze_words(world))
    if paused:
        await agent.agent.pause_container(
            agent_pb2.PauseContainerRequest(container_id="c1")
        )
    async with asyncio.timeout(20):
        await container.kill()
        assert await container.init.wait() == 128 + signal.SIGKILL
        await container.remove()
    assert not cgroup_of(world, "freezer").exists()


async def test_a_container_with_frozen_processes_is_removed(
    agent: AgentClient, world: World
) -> None:
    container = await started(agent, world, FREEZE, *freeze_words(world))
    async with asyncio.timeout(20):
        await container.remove()
    assert not cgroup_of(world, "freezer").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_signal_to_the_init_ends_it_although_it_waits_for_a_frozen_process(
    agent: AgentClient, world: World, number: int
) -> None:
    """The init ends after all processes of its pid namespace; it ignores SIGTERM."""
    container = await started(agent, world, FREEZE, *freeze_words(world))
    async with asyncio.timeout(20):
        await container.init.signal(number)
        assert await container.init.wait() == 128 + signal.SIGKILL
        await container.remove()


async def test_sigkill_ends_one_process_that_the_container_froze(
    agent: AgentClient, world: World
) -> None:
    container = await started(agent, world, FREEZE, *freeze_words(world))
    directory, word, file = freeze_words(world)
    script = f"mkdir {directory}/e; echo $$ > {directory}/e/cgroup.procs; echo ready;"
    script += f"echo {word} > {directory}/e/{file}"
    process = await container.exec("e1", default_process(["sh", "-c", script]))
    await anext(process.read_stdout())
    async with asyncio.timeout(20):
        await process.signal(signal.SIGKILL)
        assert await process.wait() == 128 + signal.SIGKILL
        await container.remove()


@pytest.mark.parametrize("script", [NEST, GROW], ids=["deep", "growing"])
async def test_cgroups_of_the_container_are_removed_with_it(
    agent: AgentClient, world: World, script: str
) -> None:
    container = await started(agent, world, script, hierarchy(world, "pids"))
    async with asyncio.timeout(30):
        await container.remove()
    assert not cgroup_of(world, "pids").exists()
