# SPDX-License-Identifier: Apache-2.0
"""Calls on containers as a whole, over a real connection to a real sandbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kata_agent.rpc.containers import ContainersService
from kata_protos import agent_pb2
from tests.helpers.domain import container_request, open_sandbox, started
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.served import served
from ttrpc.codes import Code
from ttrpc.errors import StatusError


@in_namespaces("v1")
async def test_an_update_reaches_the_cgroup(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await started(sandbox, "c1", "sleep", "1000")
        request = agent_pb2.UpdateContainerRequest(container_id="c1")
        request.resources.Pids.Limit = 77
        await agent.update_container(request)
        stats = await agent.stats_container(
            agent_pb2.StatsContainerRequest(container_id="c1")
        )
        assert stats.cgroup_stats.pids_stats.limit == 77


@in_namespaces("v1", "v2")
async def test_an_update_without_resources_changes_nothing(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await started(sandbox, "c1", "sleep", "1000")
        await agent.update_container(
            agent_pb2.UpdateContainerRequest(container_id="c1")
        )
        request = agent_pb2.UpdateContainerRequest(container_id="c2")
        with pytest.raises(StatusError) as caught:
            await agent.update_container(request)
        assert caught.value.message == "container 'c2': not found"
        await agent.pause_container(agent_pb2.PauseContainerRequest(container_id="c1"))


@in_namespaces("v1", "v2")
async def test_device_rules_cannot_be_updated(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await started(sandbox, "c1", "sleep", "1000")
        rules = Path("/sys/fs/cgroup/devices/c1/devices.list")
        before = rules.read_text() if world.version == "v1" else ""
        request = agent_pb2.UpdateContainerRequest(container_id="c1")
        request.resources.Devices.add(Allow=True, Type="a", Access="rwm")
        with pytest.raises(StatusError) as caught:
            await agent.update_container(request)
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert caught.value.message == (
            "container 'c1': device rules cannot be updated, they are fixed at the "
            "container's creation"
        )
        # containerd sends the rules of a privileged container with every update.
        request.resources.CPU.Shares = 128
        await agent.update_container(request)
        if world.version == "v1":
            assert rules.read_text() == before
            shares = Path("/sys/fs/cgroup/cpu/c1/cpu.shares").read_text()
            assert shares == "128\n"


@in_namespaces("v1", "v2")
async def test_the_update_that_both_runtimes_sent_for_a_cri_pod(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await started(sandbox, "c1", "sleep", "1000")
        request = agent_pb2.UpdateContainerRequest(container_id="c1")
        resources = request.resources
        resources.Devices.add(Access="rwm")
        resources.Memory.Limit = resources.Memory.Swap = 50331648
        resources.CPU.Shares = 128
        resources.CPU.Quota, resources.CPU.Period = 50000, 100000
        await agent.update_container(request)
        if world.version == "v1":
            cpu = Path("/sys/fs/cgroup/cpu/c1")
            assert (cpu / "cpu.cfs_quota_us").read_text() == "50000\n"
            memory = Path("/sys/fs/cgroup/memory/c1/memory.limit_in_bytes")
            assert memory.read_text() == "50331648\n"


@in_namespaces("v1", "v2")
async def test_a_paused_container_can_be_resumed_once(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await started(sandbox, "c1", "sleep", "1000")
        pause = agent_pb2.PauseContainerRequest(container_id="c1")
        resume = agent_pb2.ResumeContainerRequest(container_id="c1")
        await agent.pause_container(pause)
        await agent.resume_container(resume)
        with pytest.raises(StatusError) as caught:
            await agent.resume_container(resume)
        assert caught.value.code is Code.FAILED_PRECONDITION


@in_namespaces("v1")
async def test_processes_are_listed_in_the_format_that_was_asked_for(
    world: World,
) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        container = await started(sandbox, "c1", "sleep", "1000")
        request = agent_pb2.ListProcessesRequest(container_id="c1", format="json")
        listed = await agent.list_processes(request)
        assert json.loads(listed.process_list) == container.cgroup.pids()


@in_namespaces("v1")
async def test_an_oom_event_ends_the_poll_that_waits_for_it(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        poll = asyncio.create_task(agent.get_oom_event(agent_pb2.GetOOMEventRequest()))
        sandbox.oom_events.report("c1")
        assert (await poll).container_id == "c1"


@in_namespaces("v1")
async def test_the_termination_message_is_diagnostic_data(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        file = Path("/run/message")
        file.write_text("out of luck")
        request = container_request("c1", "true")
        name = "io.kubernetes.container.terminationMessagePath"
        request.OCI.Annotations[name] = "/tmp/message"
        request.OCI.Mounts.add(
            destination="/tmp/message", source=str(file), type="bind", options=["bind"]
        )
        await sandbox.create_container(request)
        question = agent_pb2.GetDiagnosticDataRequest(
            container_id="c1", log_type="termination_log"
        )
        assert (await agent.get_diagnostic_data(question)).data == "out of luck"
        question.log_type = "core"
        with pytest.raises(StatusError) as caught:
            await agent.get_diagnostic_data(question)
        assert caught.value.code is Code.INVALID_ARGUMENT


@in_namespaces("v1")
async def test_ephemeral_mounts_may_be_none(world: World) -> None:
    async with (
        open_sandbox() as sandbox,
        served(ContainersService(sandbox)) as agent,
    ):
        await agent.update_ephemeral_mounts(agent_pb2.UpdateEphemeralMountsRequest())
