# SPDX-License-Identifier: Apache-2.0
"""Every call on a container meets its end: none of them is the guest's fault."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable

from bench.stage import Stage
from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2, oci_pb2
from ttrpc.codes import Code
from ttrpc.errors import StatusError

ROUNDS = 12
FAULTS = (Code.INTERNAL, Code.UNKNOWN)


async def test_no_call_that_meets_the_end_of_its_container_is_internal(
    guest: LocalGuest,
) -> None:
    chance = random.Random(12)
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("e2e", share_pids=False)
        stage = Stage(guest, client, guest.directory / "rootfs")
        for number in range(ROUNDS):
            name = f"c{number}"
            container = await stage.created(name, "sleep", "1000")
            if number % 4:
                await container.start()
            calls = _calls(client, name)
            chance.shuffle(calls)
            calls.append(
                client.agent.remove_container(
                    agent_pb2.RemoveContainerRequest(container_id=name)
                )
            )
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert not isinstance(results[-1], BaseException), results[-1]
            for result in results:
                if isinstance(result, BaseException):
                    assert isinstance(result, StatusError), result
                    assert result.code not in FAULTS, result
        await client.destroy_sandbox()


def _calls(client: AgentClient, name: str) -> list[Awaitable[object]]:
    agent, pb = client.agent, agent_pb2
    limits = oci_pb2.LinuxResources(Pids=oci_pb2.LinuxPids(Limit=100))
    process, terminal = (default_process(["sleep", "9"], terminal=t) for t in (0, 1))
    ids = {"container_id": name}
    kill = pb.SignalProcessRequest(**ids, signal=signal.SIGKILL)
    return [
        agent.start_container(pb.StartContainerRequest(**ids)),
        agent.exec_process(pb.ExecProcessRequest(**ids, exec_id="e1", process=process)),
        agent.exec_process(
            pb.ExecProcessRequest(**ids, exec_id="e2", process=terminal)
        ),
        agent.update_container(pb.UpdateContainerRequest(**ids, resources=limits)),
        agent.stats_container(pb.StatsContainerRequest(**ids)),
        agent.pause_container(pb.PauseContainerRequest(**ids)),
        agent.resume_container(pb.ResumeContainerRequest(**ids)),
        agent.list_processes(pb.ListProcessesRequest(**ids, format="table")),
        agent.tty_win_resize(
            pb.TtyWinResizeRequest(**ids, exec_id="e2", row=5, column=9)
        ),
        agent.signal_process(kill),
        agent.wait_process(pb.WaitProcessRequest(**ids, exec_id=name)),
        agent.read_stdout(pb.ReadStreamRequest(**ids, exec_id=name, len=100)),
    ]
