# SPDX-License-Identifier: Apache-2.0
"""What killed programs and rude clients do: afterwards the container is gone.

An error of a call is no failure here; that nothing stays is what the sample checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
from pathlib import Path
from typing import Final

from bench.soak.faulty_crun import FAULTS, VERBS
from bench.soak.scene import PATIENCE, Scene
from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_protos import agent_pb2, oci_pb2
from ttrpc.errors import StatusError, TtrpcError

LONGEST_WAIT: Final = 0.05
"""Seconds after which a rude client leaves: a creation takes some 0.02."""


async def killed_init(scene: Scene) -> None:
    """The host kills an init, as the guest's OOM killer would."""
    seconds = str(10**6 + scene.random.randrange(10**9))
    async with scene.started("sleep", seconds) as container:
        await kill_child(scene, seconds)
        status = await container.init.wait()
        assert status == 137, status


async def killed_pause(scene: Scene) -> None:
    """The pause process is killed: its containers end, and the next ones live.

    The other actions' containers have pid namespaces of their own.
    """
    async with scene.pause_lock:
        await scene.client.create_container(scene.name, *scene.spec("sleep", "100000"))
        container = scene.client.container(scene.name)
        await container.start()
        await kill_child(scene, "pause")
        assert await container.init.wait() == 137
        await scene.remove()
        # The agent may not know yet that it has no pause process.
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(StatusError):
                    await scene.client.create_container(scene.name, *scene.spec("true"))
                    break
        await container.start()
        assert await container.init.wait() == 0
        await scene.remove()


async def broken_runtime(scene: Scene) -> None:
    """A runtime hangs, is killed, or writes too much; the container is removed."""
    fault, verb = scene.random.choice(FAULTS), scene.random.choice(VERBS)
    scene = dataclasses.replace(scene, name=f"{fault}-{verb}-{scene.name}")
    container = scene.client.container(scene.name)

    async def live() -> None:
        await scene.client.create_container(
            scene.name, *scene.spec("sleep", "100000"), share_pids=False
        )
        await container.start()
        await container.exec("e1", default_process(["true"]))
        limit = oci_pb2.LinuxResources(Pids=oci_pb2.LinuxPids(Limit=100))
        await scene.client.agent.update_container(
            agent_pb2.UpdateContainerRequest(container_id=scene.name, resources=limit)
        )

    living = asyncio.create_task(live())
    await asyncio.wait([living], timeout=0.5 if fault == "hang" else PATIENCE)
    await scene.remove()
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(StatusError):
            await living


async def short_deadlines(scene: Scene) -> None:
    """Calls that end at a deadline in the midst of their work."""
    agent, name = scene.client.agent, {"container_id": scene.name}
    calls = (
        agent.create_container(scene.request("sleep", "100000"), timeout=wait(scene)),
        agent.start_container(
            agent_pb2.StartContainerRequest(**name), timeout=wait(scene)
        ),
        agent.exec_process(
            agent_pb2.ExecProcessRequest(
                **name, exec_id="e1", process=default_process(["sleep", "100000"])
            ),
            timeout=wait(scene),
        ),
        agent.remove_container(
            agent_pb2.RemoveContainerRequest(**name), timeout=wait(scene)
        ),
    )
    for call in calls:
        with contextlib.suppress(StatusError):
            await call
    await scene.remove()


async def abandoned_calls(scene: Scene) -> None:
    """Calls that their caller gives up, on a connection that goes on.

    The agent is not told (ttrpc has no message for that), so the calls end with their
    container.
    """
    creating = asyncio.create_task(live_polls(scene, scene.client))
    await asyncio.sleep(wait(scene))
    creating.cancel()
    await asyncio.wait([creating])
    await scene.remove()


async def hang_ups(scene: Scene) -> None:
    """A client that disconnects with calls in flight."""
    address = f"unix://{scene.stage.agent_socket}"
    async with AgentClient.connect(address) as client:
        working = asyncio.create_task(live_polls(scene, client))
        event = client.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
        waiting = asyncio.create_task(event)
        # The agent has begun the calls that were sent before.
        await client.check()
        await asyncio.sleep(wait(scene))
    await asyncio.wait([working, waiting])
    with contextlib.suppress(TtrpcError):
        await waiting
    await scene.remove()


async def live_polls(scene: Scene, client: AgentClient) -> None:
    """Make a container and wait for what never comes, by several calls at once."""
    with contextlib.suppress(TtrpcError):
        await client.agent.create_container(scene.request("sleep", "100000"))
        container = client.container(scene.name)
        await container.start()
        process = await container.exec("e1", default_process(["cat"]))
        await asyncio.gather(
            container.init.wait(),
            process.wait(),
            anext(process.read_stdout()),
            process.write_stdin(bytes(1 << 20)),
        )


def wait(scene: Scene) -> float:
    """Return the seconds after which a rude client leaves."""
    return scene.random.uniform(0.0005, LONGEST_WAIT)


async def kill_child(scene: Scene, word: str) -> None:
    """Kill the child of the agent with this word in its command line."""
    # An init that was started has not executed its program yet.
    while not any(is_killed(pid, word) for pid in scene.children()):  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def is_killed(pid: int, word: str) -> bool:
    """Kill a process if it has the word; tell whether it did."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        if word.encode() not in line.split(b"\0"):
            return False
        os.kill(pid, signal.SIGKILL)
    except OSError:
        # The process has ended meanwhile.
        return False
    return True


ACTIONS: Final = (
    killed_init,
    killed_pause,
    broken_runtime,
    short_deadlines,
    abandoned_calls,
    hang_ups,
)
