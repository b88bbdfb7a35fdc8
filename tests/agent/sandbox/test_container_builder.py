# SPDX-License-Identifier: Apache-2.0
"""The names and the undoing of a container that is being built."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import AgentError, InvalidArgument, Unimplemented
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
        await sandbox.create_container(container_request("c1", "sleep", "1000"))
        request = container_request("c2", "sleep", "1000")
        request.OCI.Linux.CgroupsPath = "c1"
        with pytest.raises(InvalidArgument, match="'/c1' is that of container 'c1'"):
            await sandbox.create_container(request)


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
