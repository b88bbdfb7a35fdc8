# SPDX-License-Identifier: Apache-2.0
"""The names and the undoing of a container that is being built."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from kata_agent.container.container_state import ContainerState
from kata_agent.errors import (
    AgentError,
    AlreadyExists,
    InvalidArgument,
    Unimplemented,
)
from kata_agent.linux.spawn import Command
from kata_protos import agent_pb2
from tests.helpers.captured import create_container_requests
from tests.helpers.domain import NoStorages, container_request, open_sandbox
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1")
async def test_cgroups_paths(world: World) -> None:
    async with open_sandbox() as sandbox:
        for given, path in (
            ("", "c1"),
            ("/a/b", "a/b"),
            ("a.slice:kata:c1", "a.slice/kata/c1"),
        ):
            request = container_request("c1", "sleep", "1000")
            request.OCI.Linux.CgroupsPath = given
            await sandbox.create_container(request)
            procs = Path("/sys/fs/cgroup/memory") / path / "cgroup.procs"
            assert procs.read_text()
            await sandbox.remove_container("c1")
            assert not procs.exists()


def request_in(
    cgroup: str, container_id: str = "c2"
) -> agent_pb2.CreateContainerRequest:
    request = container_request(container_id, "sleep", "1000")
    request.OCI.Linux.CgroupsPath = cgroup
    return request


@in_namespaces("v1", "v2")
async def test_a_cgroup_above_or_below_or_of_another_container_is_refused(
    world: World,
) -> None:
    """A container is killed by its cgroup, and its creation is undone by that."""
    async with open_sandbox() as sandbox:
        first = request_in("kubepods.slice:cri:c1", "c1")
        await sandbox.create_container(first)
        await sandbox.start_container("c1")
        container = sandbox.container("c1")
        (pid,) = container.cgroup.pids()
        for given in (
            "/kubepods.slice/cri/c1",
            "kubepods.slice:cri:c1",
            "kubepods.slice:cri:c1/inner",
            "/kubepods.slice/cri/c1/a/b",
            "/kubepods.slice/cri",
            "kubepods.slice",
            "//kubepods.slice//cri/",
        ):
            with pytest.raises(
                InvalidArgument, match="overlaps '/kubepods.slice/cri/c1'.* 'c1'"
            ):
                await sandbox.create_container(request_in(given))
        with pytest.raises(InvalidArgument, match="container 'c2': not found"):
            await sandbox.remove_container("c2")
        storages = sandbox._guest.storages
        assert isinstance(storages, NoStorages)
        assert storages.removed == []
        assert container.cgroup.pids() == [pid]
        assert container.lifecycle.state is ContainerState.RUNNING
        # Once it has gone, its cgroup is free.
        await sandbox.remove_container("c1")
        await sandbox.create_container(request_in("/kubepods.slice/cri/c1/inner"))


@in_namespaces("v1", "v2")
async def test_cgroups_beside_each_other_are_what_runtimes_send(world: World) -> None:
    """The parents are shared: those of the captured sessions and of systemd's form."""
    captured = {r.OCI.Linux.CgroupsPath for r in create_container_requests().values()}
    assert "/default/L1" in captured
    slices = [
        "kubepods-burstable-pod1.slice:cri-containerd:c1",
        "kubepods-burstable-pod1.slice:cri-containerd:c11",
        "kubepods-burstable-pod1.slice:crio:c1",
    ]
    async with open_sandbox() as sandbox:
        for number, given in enumerate([*sorted(captured), *slices]):
            await sandbox.create_container(request_in(given, f"c{number}"))
        for container in sandbox.containers:
            assert len(container.cgroup.pids()) == 1


@in_namespaces("v1", "v2")
async def test_a_cgroup_with_processes_of_the_guest_is_refused(world: World) -> None:
    is_v2 = world.version == "v2"
    root = Path("/sys/fs/cgroup") if is_v2 else Path("/sys/fs/cgroup/memory")
    (root / "system.slice/sshd.service").mkdir(parents=True)
    async with open_sandbox() as sandbox:
        daemon = sandbox._guest.reaper.spawn(Command(["sleep", "1000"]))
        procs = root / "system.slice/sshd.service/cgroup.procs"
        procs.write_text(str(daemon.pid))
        for given in ("/system.slice", "/system.slice/sshd.service"):
            creation = asyncio.create_task(sandbox.create_container(request_in(given)))
            await asyncio.sleep(0)
            # Nor does the removal of what is not made yet kill a process.
            removal = asyncio.create_task(sandbox.remove_container("c2"))
            with pytest.raises(AlreadyExists, match="holds processes of the guest"):
                await creation
            await removal
        assert sandbox.containers == []
        assert procs.read_text() == f"{daemon.pid}\n"
        await sandbox.create_container(request_in("/system.slice/c2"))
        daemon.send_signal(signal.SIGKILL)
        await daemon.wait()


@in_namespaces("v1", "v2")
async def test_a_cgroup_above_or_below_or_of_the_agent_is_refused(world: World) -> None:
    is_v2 = world.version == "v2"
    root = Path("/sys/fs/cgroup") if is_v2 else Path("/sys/fs/cgroup/memory")
    own = root / "system.slice/kata-agent.service"
    own.mkdir(parents=True)
    (own / "cgroup.procs").write_text(str(os.getpid()))
    async with open_sandbox() as sandbox:
        for given in (
            "/system.slice/kata-agent.service",
            "/system.slice",
            "/system.slice/kata-agent.service/c2",
        ):
            with pytest.raises(InvalidArgument, match="which is that of the agent"):
                await sandbox.create_container(request_in(given))
    (root / "cgroup.procs").write_text(str(os.getpid()))


@in_namespaces("v1", "v2")
async def test_a_build_that_fails_leaves_nothing(world: World) -> None:
    """No mount, no bundle and no cgroup are left, and the storages are released."""
    async with open_sandbox() as sandbox:
        mounts = Path("/proc/self/mountinfo").read_text()
        bundles = sorted(Path("/run/kata-containers").iterdir())
        cgroups = sorted(Path("/sys/fs/cgroup").rglob("c1"))
        request = container_request("c1", "true")
        request.shared_mounts.add(name="x", src_ctr="c0", src_path="a", dst_path="/b")
        with pytest.raises(AgentError, match="path 'a' is not absolute"):
            await sandbox.create_container(request)
        assert Path("/proc/self/mountinfo").read_text() == mounts
        assert sorted(Path("/run/kata-containers").iterdir()) == bundles
        assert sorted(Path("/sys/fs/cgroup").rglob("c1")) == cgroups == []
        storages = sandbox._guest.storages
        assert isinstance(storages, NoStorages)
        assert storages.removed == ["c1"]


@in_namespaces("v1")
async def test_a_container_that_asks_for_a_cdi_device_is_refused(world: World) -> None:
    """The Go runtime passes such an annotation on (Kata's policy case gpu_vfio_cdi)."""
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        request.OCI.Annotations["cdi.k8s.io/vfio1"] = "nvidia.com/gpu=0"
        with pytest.raises(Unimplemented, match="device 'nvidia.com/gpu=0'.*CDI"):
            await sandbox.create_container(request)
        assert sandbox.containers == []
