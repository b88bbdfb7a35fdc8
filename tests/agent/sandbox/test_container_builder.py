# SPDX-License-Identifier: Apache-2.0
"""The names and the undoing of a container that is being built."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import AgentError, InvalidArgument
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
        request.shared_mounts.add(name="x", src_ctr="c0", src_path="/a", dst_path="/b")
        with pytest.raises(AgentError, match="container 'c0': not found"):
            await sandbox.create_container(request)
        assert Path("/proc/self/mountinfo").read_text() == mounts
        assert sorted(Path("/run/kata-containers").iterdir()) == bundles
        assert sorted(Path("/sys/fs/cgroup").rglob("c1")) == cgroups == []
        storages = sandbox._guest.storages
        assert isinstance(storages, NoStorages)
        assert storages.removed == ["c1"]
