# SPDX-License-Identifier: Apache-2.0
"""DestroySandbox while containers of all kinds run: the agent answers, and ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from bench.control import hang_in_fuse
from bench.stage import Stage, agent_pid
from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_cgroup import hierarchies
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2

CGROUPS = Path("/sys/fs/cgroup")
BOMB = "while :; do sleep 1000 & done"


async def test_everything_that_runs_ends_with_the_sandbox(guest: LocalGuest) -> None:
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("e2e", share_pids=False)
        stage = Stage(guest, client, guest.directory / "rootfs")
        paused = await stage.started("paused", "sh", "-c", "while :; do :; done")
        await client.agent.pause_container(
            agent_pb2.PauseContainerRequest(container_id=paused.id)
        )
        await stage.created("created", "true")
        execs = await stage.started("execs", "sleep", "1000")
        for number in range(4):
            process = default_process(["sleep", "1000"], terminal=number % 2 == 0)
            await execs.exec(f"e{number}", process)
        await stage.started("full", "yes")
        limited = stage.spec("bomb", "sh", "-c", BOMB)
        limited.Linux.Resources.Pids.Limit = 100
        bomb = await client.create_container("bomb", limited, share_pids=False)
        await bomb.start()
        if os.environ.get("CI") or Path("/dev/fuse").exists():
            await hang_in_fuse(stage)
        await client.destroy_sandbox()
    # The fixtures check that no process, mount, cgroup or file is left.
    assert guest.ending(timeout=20) == "exit status 0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_killed_agent_leaves_nothing(
    guest: LocalGuest, number: signal.Signals
) -> None:
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("e2e", share_pids=False)
        stage = Stage(guest, client, guest.directory / "rootfs")
        await stage.started("c1", "sh", "-c", "sleep 1000 & sleep 1000")
        await stage.created("c2", "true")
        os.kill(agent_pid(guest), number)
        assert guest.ending(timeout=20) is not None


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("ended", ["guest", "supervisor"])
async def test_a_guest_with_a_paused_container_ends_at_once_and_leaves_nothing(
    scratch: Path, version: str, ended: str
) -> None:
    try:
        hierarchies(version)
    except ValueError as error:
        pytest.skip(str(error))
    with LocalGuest(scratch / "guest", cgroup=version) as guest:
        make_busybox(guest.directory / "rootfs")
        async with AgentClient.connect(guest.address) as client:
            await client.create_sandbox("e2e", share_pids=False)
            stage = Stage(guest, client, guest.directory / "rootfs")
            paused = await stage.started("paused", "sh", "-c", "while :; do :; done")
            await client.agent.pause_container(
                agent_pb2.PauseContainerRequest(container_id=paused.id)
            )
        name = f"kata-local-{guest.pid}-*"
        assert list(CGROUPS.glob(f"*/{name}"))
        if ended == "supervisor":
            os.kill(guest.pid, signal.SIGKILL)
            assert guest.ending(timeout=20) == "supervisor was killed"
        began = time.monotonic()
    # A supervisor that does not end is killed after 20 s.
    assert time.monotonic() - began < 10
    assert not list(CGROUPS.glob(f"*/{name}"))
    # `scratch` checks that no process is left.
