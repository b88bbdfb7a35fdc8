# SPDX-License-Identifier: Apache-2.0
"""A guest whose agent runs out of something when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.stage import Footprint, Stage, footprint, open_stage
from kata_host.client.spec import writable_layer
from kata_host.ctl.ports import CONSOLE_PORT
from kata_protos import agent_pb2
from tests.helpers import failing_agent
from tests.helpers.failing_agent import Failures

PATIENCE = 30.0


async def create(stage: Stage, name: str) -> None:
    """Storages of three kinds, a bundle, a cgroup, pipes, a runtime."""
    layer, root = writable_layer(name, str(stage.rootfs))
    base = f"/run/kata-containers/sandbox/{name}"
    storages = [
        layer,
        agent_pb2.Storage(
            driver="ephemeral", fstype="tmpfs", mount_point=f"{base}-memory"
        ),
        agent_pb2.Storage(driver="local", mount_point=f"{base}-local"),
        agent_pb2.Storage(
            driver="bind", source=str(stage.rootfs), mount_point=f"{base}-bind"
        ),
    ]
    spec = stage.spec(name, "sleep", "1000", rootfs=root)
    await stage.client.create_container(name, spec, storages, share_pids=True)


async def start(stage: Stage, name: str) -> None:
    await create(stage, name)
    await stage.client.container(name).start()


def failing_command(failures: Failures) -> list[str]:
    """Return the command of an agent whose calls fail as `failures` says."""
    return [sys.executable, failing_agent.__file__, str(failures.file)]


@contextlib.asynccontextmanager
async def open_failing(directory: Path) -> AsyncIterator[tuple[Stage, Failures]]:
    failures = Failures(directory / "failures")
    program = failing_command(failures)
    with contextlib.closing(failures):
        parameters = [f"agent.debug_console_vport={CONSOLE_PORT}"]
        async with open_stage(program, parameters=parameters) as stage:
            yield stage, failures


async def until_same(
    stage: Stage, before: Footprint, operation: str, lasting: Sequence[str] = ()
) -> None:
    """Wait until the agent's footprint is `before`: threads and processes end late.

    Mounts with a name of `lasting` do not count. `operation` is for the message.
    """
    for _ in range(200):
        now = footprint(stage.guest)
        mounts = [
            point for point in now.mounts if not any(name in point for name in lasting)
        ]
        now = replace(now, threads=before.threads, mounts=mounts)
        if now == before:
            return
        await asyncio.sleep(0.02)
    assert sorted(now.descriptors) == sorted(before.descriptors), operation
    assert now == before, operation
