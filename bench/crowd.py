# SPDX-License-Identifier: Apache-2.0
"""A container of 8,000 processes: `python -m bench.crowd`.

The container is listed, measured, updated, paused, resumed, killed and removed, while
another connection calls `Check`. The agent's event loop records its long turns. All of
that with cgroup v1, then with v2.

Fails, and says why, if the 99th percentile of `Check` or a turn of the loop is over its
limit, or if this host can give no version of cgroups. With `--write` the table goes to
`bench/README.md`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.control import percentile
from bench.document import replace_section
from bench.stage import Stage, open_stage
from bench.turns import Turn, read_turns, record_command
from kata_agent.thread_priority import prefer_session, prefer_thread
from kata_host.client import AgentClient, GuestContainer
from kata_host.guest.local_cgroup import hierarchies
from kata_protos import agent_pb2

PROCESSES: Final = 8000
LIMIT_MS: Final = 10.0
"""The 99th percentile of `Check`."""
TURN_LIMIT_MS: Final = 20.0
FORK: Final = (
    # Each child waits for a writer: a fork without exec, which costs little.
    "mkfifo /tmp/gate; i=0; "
    "while [ $i -lt {} ]; do : < /tmp/gate & i=$((i + 1)); done; "
    "echo ready; wait"
)
HOOK: Final = (
    "cd {directory}; mkfifo gate; i=0; "
    "while [ $i -lt {processes} ]; do : < gate & i=$((i + 1)); done; "
    "echo > ready; wait"
)
WARM_UP: Final = 500
NO_TURN: Final = Turn(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on the container. All times are in seconds."""

    name: str
    duration: float
    checks: list[float]
    """The durations of `Check` meanwhile."""
    turn: Turn
    """The longest turn of the loop; of length 0 if none was long enough to be kept."""


async def crowd(stage: Stage, processes: int = PROCESSES) -> GuestContainer:
    """Start the container."""
    spec = stage.spec("crowd", "sh", "-c", FORK.format(processes))
    spec.Linux.Resources.Pids.Limit = processes + 100
    for mount in spec.Mounts:
        if mount.destination == "/tmp":
            mount.options.append("mode=1777")
    container = await stage.client.create_container("crowd", spec, share_pids=False)
    await container.start()
    assert await anext(container.init.read_stdout()) == b"ready\n"
    return container


def operations(
    stage: Stage, container: GuestContainer
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return everything that is done to the container, in this order."""
    agent, name = stage.client.agent, container.id
    update = agent_pb2.UpdateContainerRequest(container_id=name)
    update.resources.Pids.Limit = 2 * PROCESSES

    async def die() -> None:
        await container.kill()
        await container.init.wait()

    return {
        "ListProcesses, json": lambda: agent.list_processes(
            agent_pb2.ListProcessesRequest(container_id=name, format="json")
        ),
        "ListProcesses, table": lambda: agent.list_processes(
            agent_pb2.ListProcessesRequest(container_id=name, format="table")
        ),
        "StatsContainer": lambda: agent.stats_container(
            agent_pb2.StatsContainerRequest(container_id=name)
        ),
        "UpdateContainer": lambda: agent.update_container(update),
        "PauseContainer": lambda: agent.pause_container(
            agent_pb2.PauseContainerRequest(container_id=name)
        ),
        "ResumeContainer": lambda: agent.resume_container(
            agent_pb2.ResumeContainerRequest(container_id=name)
        ),
        "SIGKILL, until the exit": die,
        "RemoveContainer": container.remove,
    }


async def hook_crowd(stage: Stage, processes: int) -> Callable[[], Awaitable[object]]:
    """Start a container whose hook has `processes` and hangs; return its removal."""
    directory = stage.rootfs.parent / "hook"
    directory.mkdir()
    script = HOOK.format(directory=directory, processes=processes)
    spec = stage.spec("hooked", "sleep", "1000")
    spec.Hooks.Poststart.add(
        Path="/bin/sh", Args=["sh", "-c", script], Env=["PATH=/bin:/usr/bin"]
    )
    container = await stage.client.create_container("hooked", spec, share_pids=False)
    start = asyncio.ensure_future(container.start())
    while not (directory / "ready").exists():
        assert not start.done()
        await asyncio.sleep(0.01)

    async def remove() -> None:
        await container.remove()
        await asyncio.wait([start])
        assert "is being removed" in str(start.exception())

    return remove


async def measure(version: str, processes: int = PROCESSES) -> list[Step]:
    """Do all operations in a guest with cgroups of `version`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        record = Path(directory) / "turns"
        async with open_stage(record_command(record), cgroup=version) as stage:
            async with AgentClient.connect(f"unix://{stage.agent_socket}") as other:
                for _ in range(WARM_UP):
                    await other.check()
                container = await crowd(stage, processes)
                steps = [
                    await step(name, operation, other, record)
                    for name, operation in operations(stage, container).items()
                ]
                remove = await hook_crowd(stage, processes)
                name = "RemoveContainer, of a hook"
                return [*steps, await step(name, remove, other, record)]


async def step(
    name: str,
    operation: Callable[[], Awaitable[object]],
    other: AgentClient,
    record: Path,
) -> Step:
    """Do one operation, and call `Check` over the other connection meanwhile."""
    checks: list[float] = []
    began = time.monotonic()
    task = asyncio.ensure_future(operation())
    while not task.done():
        called = time.monotonic()
        await other.check()
        checks.append(time.monotonic() - called)
        await asyncio.sleep(0.001)
    await task
    ended = time.monotonic()
    # This answer comes after the turn of the last one is in the record.
    await other.check()
    turns = [turn for turn in read_turns(record) if turn.end > began]
    longest = max(turns, key=_length, default=NO_TURN)
    return Step(name, ended - began, checks, longest)


def _length(turn: Turn) -> float:
    return turn.length


def table(found: dict[str, list[Step]]) -> str:
    rows = [
        "| | takes | `Check` meanwhile, longest | longest turn of the loop | of that "
        "on a CPU |",
        "|---|---|---|---|---|",
    ]
    for version, steps in found.items():
        rows += [
            f"| {step.name}, {version} | {step.duration * 1e3:.0f} ms "
            f"| {max(step.checks) * 1e3:.1f} ms | {described(step.turn)} |"
            for step in steps
        ]
        checks = percentile(all_checks(steps), 99)
        longest = max((step.turn for step in steps), key=_length)
        rows.append(
            f"| all, {version} | | p99 {checks:.1f} ms | {described(longest)} |"
        )
    return "\n".join(rows)


def described(turn: Turn) -> str:
    if not turn.length:
        return "under 2 ms | "
    return f"{turn.length * 1e3:.1f} ms | {turn.cpu * 1e3:.1f} ms"


def all_checks(steps: list[Step]) -> list[float]:
    return [check for step in steps for check in step.checks]


def faults(found: dict[str, list[Step]]) -> list[str]:
    """Return the bounds that are broken; none if there is nothing."""
    if not found:
        return ["no version of cgroups to measure with"]
    broken = []
    for version, steps in found.items():
        checks = percentile(all_checks(steps), 99)
        if checks > LIMIT_MS:
            broken.append(
                f"{version}: `Check` takes {checks:.1f} ms at p99, over {LIMIT_MS:g} ms"
            )
        broken += [
            f"{version}: {step.name} has a turn of {turn:.1f} ms, over "
            f"{TURN_LIMIT_MS:g} ms"
            for step in steps
            if (turn := step.turn.length * 1e3) > TURN_LIMIT_MS
        ]
    return broken


def main() -> int:
    versions = []
    for version in ("v1", "v2"):
        try:
            hierarchies(version)
        except ValueError:
            continue
        versions.append(version)
    found = {version: asyncio.run(measure(version)) for version in versions}
    text = table(found)
    print(text)
    if "--write" in sys.argv[1:]:
        replace_section("crowd", text)
    broken = faults(found)
    for fault in broken:
        print(fault)
    return int(bool(broken))


def prefer_caller() -> None:
    """Give way to no process of the guest: a runtime calls from another machine.

    Without real-time priorities, be as near to that as the agent is.
    """
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(1))
    except PermissionError:
        prefer_thread()
        prefer_session()


if __name__ == "__main__":
    prefer_caller()
    sys.exit(main())
