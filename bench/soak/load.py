# SPDX-License-Identifier: Apache-2.0
"""What well-behaved clients do: each action makes a container, and checks it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from bench.soak.scene import Scene
from bench.stage import agent_pid
from kata_host.client.spec import default_process
from kata_host.client.upload import SHARED, upload
from kata_protos import agent_pb2, oci_pb2

MOST_BYTES: Final = 200_000
"""Of a standard stream."""
EXECS: Final = 4
MIB: Final = 1 << 20


async def life(scene: Scene) -> None:
    """A whole life: input, both outputs, a status."""
    data = scene.random.randbytes(scene.random.randrange(MOST_BYTES))
    async with scene.started("sh", "-c", "cat; echo end >&2; exit 7") as container:
        result = await container.init.communicate(data)
    found = (result.status, result.stdout == data, result.stderr)
    assert found == (7, True, b"end\n"), found


async def execs(scene: Scene) -> None:
    """Several execs at once in one container."""
    async with scene.started("sleep", "100000") as container:

        async def one(number: int) -> None:
            data = scene.random.randbytes(scene.random.randrange(MOST_BYTES))
            process = await container.exec(f"e{number}", default_process(["cat"]))
            result = await process.communicate(data)
            assert (result.status, result.stdout) == (0, data), result.status

        await asyncio.gather(*map(one, range(EXECS)))


async def terminal(scene: Scene) -> None:
    """A terminal: its size, an echo of the input, a status."""
    script = "read line; stty size; echo got $line; exit 3"
    async with scene.started("sleep", "100000") as container:
        process = await container.exec(
            "tty", default_process(["sh", "-c", script], terminal=True)
        )
        await process.resize(31, 117)
        await process.write_stdin(b"hello\n")
        output = b"".join([chunk async for chunk in process.read_stdout()])
        status = await process.wait()
    assert status == 3, status
    assert b"31 117" in output, output
    assert b"got hello" in output, output


async def copies(scene: Scene) -> None:
    """A tree that is copied over that of the last time."""
    target = f"{SHARED}/soak-{scene.slot}"
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        tree = Path(name)
        make_tree(tree, scene.random)
        await upload(scene.client.agent, tree, target)
        check_copy(tree, Path(f"/proc/{agent_pid(scene.stage.guest)}/root{target}"))


def make_tree(tree: Path, random: Random) -> None:
    for number in range(20):
        size = random.randrange(5000)
        (tree / f"file-{number}").write_bytes(random.randbytes(size))
    (tree / "large").write_bytes(random.randbytes(3 * MIB))
    (tree / "link").symlink_to("large")


def check_copy(tree: Path, copy: Path) -> None:
    for path in tree.iterdir():
        copied = copy / path.name
        if path.is_symlink():
            assert copied.readlink() == path.readlink(), path.name
        else:
            assert copied.read_bytes() == path.read_bytes(), path.name


async def statistics(scene: Scene) -> None:
    """All that an observer asks for."""
    name = {"container_id": scene.name}
    agent = scene.client.agent
    async with scene.started("sleep", "100000"):
        for _ in range(5):
            answer = await agent.stats_container(
                agent_pb2.StatsContainerRequest(**name)
            )
            assert answer.HasField("cgroup_stats")
            await agent.list_processes(
                agent_pb2.ListProcessesRequest(**name, format="json")
            )
        metrics = await agent.get_metrics(agent_pb2.GetMetricsRequest())
        assert "kata_agent" in metrics.metrics
        await agent.get_guest_details(agent_pb2.GuestDetailsRequest())
        await agent.update_container(
            agent_pb2.UpdateContainerRequest(
                **name, resources=oci_pb2.LinuxResources(CPU=oci_pb2.LinuxCPU())
            )
        )


async def pauses(scene: Scene) -> None:
    """A paused container that is resumed, killed, or removed as it is."""
    name = {"container_id": scene.name}
    async with scene.started("sh", "-c", "while :; do sleep 0.1; done") as container:
        await scene.client.agent.pause_container(
            agent_pb2.PauseContainerRequest(**name)
        )
        match scene.random.randrange(3):
            case 0:
                await scene.client.agent.resume_container(
                    agent_pb2.ResumeContainerRequest(**name)
                )
            case 1:
                await container.kill()
                status = await container.init.wait()
                assert status == 137, status


ACTIONS: Final = (life, execs, terminal, copies, statistics, pauses)
