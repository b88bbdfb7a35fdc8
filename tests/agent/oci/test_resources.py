# SPDX-License-Identifier: Apache-2.0
"""Every resource of a spec reaches the kernel, or is left out.

Version 1 here; version 2 needs its controllers: `tests/vm/test_cgroup_v2.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.errors import InvalidArgument
from kata_agent.oci.resources import (
    can_filter_devices,
    drop_mknod,
    fit_resources,
    merge_resources,
    pop_unlimited,
)
from kata_agent.oci.spec import Spec
from kata_agent.sandbox.sandbox import Sandbox
from kata_agent.system_paths import SystemPaths
from kata_protos import oci_pb2
from tests.helpers.domain import container_request, open_sandbox
from tests.helpers.namespace import World, in_namespaces

MIB = 1 << 20
ROOT = Path("/sys/fs/cgroup")


def files_of(root: Path, *, unified: bool) -> SupportedFiles:
    """A v1 hierarchy with memory, or a v2 one, in a plain directory without files."""
    if unified:
        (root / "cgroup.controllers").touch()
    found = SupportedFiles(root)
    found._found[""] = {"memory.max"}
    found._found["memory"] = {"memory.limit_in_bytes", "memory.swappiness"}
    found._found["hugetlb"] = {"hugetlb.2MB.limit_in_bytes"}
    return found


def test_a_limit_that_the_kernel_does_not_have_is_left_out(tmp_path: Path) -> None:
    paths = SystemPaths(sys=tmp_path)
    memory = {"limit": 5, "kernel": 1, "swappiness": 3}
    resources: Spec = {"memory": dict(memory), "network": {"classID": 1}}
    fit_resources(resources, paths, files_of(tmp_path, unified=False))
    assert resources == {"memory": {"limit": 5, "swappiness": 3}}
    unified = files_of(tmp_path, unified=True)
    resources = {"memory": dict(memory)}
    fit_resources(resources, paths, unified)
    assert resources == {"memory": {"limit": 5}}
    resources = {"memory": {"swappiness": 3}}
    fit_resources(resources, paths, unified)
    assert resources == {}


def test_huge_pages_that_the_kernel_has(tmp_path: Path) -> None:
    (tmp_path / "kernel/mm/hugepages/hugepages-2048kB").mkdir(parents=True)
    (tmp_path / "kernel/mm/hugepages/hugepages-1048576kB").mkdir()
    resources: Spec = {
        "hugepageLimits": [
            {"pageSize": "2MB", "limit": 1},
            {"pageSize": "1GB", "limit": 2},
            {"pageSize": "../x", "limit": 3},
        ]
    }
    files = files_of(tmp_path, unified=False)
    fit_resources(resources, SystemPaths(sys=tmp_path), files)
    assert resources == {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}


def test_negative_numbers_are_no_limits() -> None:
    resources: Spec = {
        "memory": {"limit": -1, "reservation": 5},
        "cpu": {"quota": -1},
        "pids": {"limit": 0},
    }
    # The kernel requires memory and swap together to be at least memory alone.
    lifted = ["memory.swap", "memory.limit", "cpu.quota"]
    assert pop_unlimited(resources) == lifted
    assert resources == {"memory": {"reservation": 5}, "pids": {"limit": 0}}


def test_device_filters_need_a_capability_in_version_2(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    status = tmp_path / "self/status"
    paths = SystemPaths(proc=tmp_path)
    status.write_text("CapEff:\t000001fffeffffff\n")
    assert can_filter_devices(paths, unified=False)
    assert not can_filter_devices(paths, unified=True)
    status.write_text("CapEff:\t000001ffffffffff\n")
    assert can_filter_devices(paths, unified=True)


def test_mknod_is_taken_from_every_set() -> None:
    process: Spec = {
        "capabilities": {
            "bounding": ["CAP_MKNOD", "CAP_KILL"],
            "ambient": ["CAP_MKNOD"],
        }
    }
    drop_mknod(process)
    assert process == {"capabilities": {"bounding": ["CAP_KILL"], "ambient": []}}
    drop_mknod({})


def test_an_update_leaves_the_limits_that_it_does_not_name() -> None:
    resources: Spec = {"memory": {"limit": 5, "swap": 6}, "pids": {"limit": 1}}
    merge_resources(resources, {"memory": {"limit": 7}, "hugepageLimits": [1]})
    assert resources == {
        "memory": {"limit": 7, "swap": 6},
        "pids": {"limit": 1},
        "hugepageLimits": [1],
    }


def read(file: str, container_id: str = "c1") -> str:
    controller, _, name = file.partition("/")
    return (ROOT / controller / container_id / name).read_text().strip()


async def update(sandbox: Sandbox, resources: oci_pb2.LinuxResources) -> None:
    await sandbox.update_container("c1", resources)


def fill(resources: oci_pb2.LinuxResources, factor: int) -> dict[str, str]:
    """Set limits that every v1 kernel has; return the contents of their files."""
    memory, cpu = resources.Memory, resources.CPU
    memory.Limit = 64 * MIB * factor
    memory.Swap = 96 * MIB * factor
    memory.Reservation = 32 * MIB * factor
    memory.Swappiness = 10 * factor
    cpu.Shares = 512 * factor
    cpu.Period = 50_000 * factor
    cpu.Quota = 20_000 * factor
    cpu.Cpus, cpu.Mems = "0", "0"
    resources.Pids.Limit = 50 * factor
    return {
        "memory/memory.limit_in_bytes": str(64 * MIB * factor),
        "memory/memory.memsw.limit_in_bytes": str(96 * MIB * factor),
        "memory/memory.soft_limit_in_bytes": str(32 * MIB * factor),
        "memory/memory.swappiness": str(10 * factor),
        "cpu/cpu.shares": str(512 * factor),
        "cpu/cpu.cfs_period_us": str(50_000 * factor),
        "cpu/cpu.cfs_quota_us": str(20_000 * factor),
        "cpuset/cpuset.cpus": "0",
        "cpuset/cpuset.mems": "0",
        "pids/pids.max": str(50 * factor),
    }


@in_namespaces("v1")
async def test_limits_are_set_and_changed_in_version_1(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        expected = fill(request.OCI.Linux.Resources, 1)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        assert {file: read(file) for file in expected} == expected
        # Up and down again: the kernel takes limit and swap only in one order.
        for factor in (3, 2):
            resources = oci_pb2.LinuxResources()
            expected = fill(resources, factor)
            await update(sandbox, resources)
            assert {file: read(file) for file in expected} == expected


@in_namespaces("v1")
async def test_a_limit_that_an_update_leaves_out_stays(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        expected = fill(request.OCI.Linux.Resources, 1)
        await sandbox.create_container(request)
        # The field is there, and all zero, which proto3 reads as "not set".
        empty = oci_pb2.LinuxResources()
        for part in (empty.Memory, empty.CPU, empty.Pids, empty.BlockIO, empty.Network):
            part.SetInParent()
        await update(sandbox, empty)
        resources = oci_pb2.LinuxResources()
        resources.Pids.Limit = 7
        await update(sandbox, resources)
        expected["pids/pids.max"] = "7"
        assert {file: read(file) for file in expected} == expected
        found = sandbox.container("c1").spec["linux"]["resources"]
        assert found["pids"] == {"limit": 7}
        assert found["memory"]["limit"] == 64 * MIB


@in_namespaces("v1")
async def test_memory_alone_can_grow_beyond_memory_and_swap(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        fill(request.OCI.Linux.Resources, 1)
        await sandbox.create_container(request)
        resources = oci_pb2.LinuxResources()
        resources.Memory.Limit = 200 * MIB
        await update(sandbox, resources)
        assert read("memory/memory.limit_in_bytes") == str(200 * MIB)
        assert read("memory/memory.memsw.limit_in_bytes") == str(200 * MIB)
        resources = oci_pb2.LinuxResources()
        resources.Memory.Swap = 300 * MIB
        await update(sandbox, resources)
        assert read("memory/memory.memsw.limit_in_bytes") == str(300 * MIB)
        resources.Memory.Swap = 100 * MIB
        with pytest.raises(InvalidArgument, match="'c1': memory and swap of 104857600"):
            await update(sandbox, resources)


@in_namespaces("v1")
async def test_no_limit_from_the_start(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        resources = request.OCI.Linux.Resources
        resources.Memory.Limit = resources.Memory.Swap = -1
        resources.CPU.Quota = -1
        resources.Pids.Limit = -1
        await sandbox.create_container(request)
        assert int(read("memory/memory.limit_in_bytes")) > 1 << 60
        assert read("cpu/cpu.cfs_quota_us") == "-1"
        assert read("pids/pids.max") == "max"


@in_namespaces("v1")
async def test_limits_are_taken_off(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        fill(request.OCI.Linux.Resources, 1)
        await sandbox.create_container(request)
        resources = oci_pb2.LinuxResources()
        resources.Memory.Limit = resources.Memory.Swap = -1
        resources.CPU.Quota = -1
        resources.Pids.Limit = -1
        await update(sandbox, resources)
        assert int(read("memory/memory.limit_in_bytes")) > 1 << 60
        assert int(read("memory/memory.memsw.limit_in_bytes")) > 1 << 60
        assert read("cpu/cpu.cfs_quota_us") == "-1"
        assert read("pids/pids.max") == "max"


def some_disk() -> tuple[int, int]:
    """A block device of this machine."""
    for name in sorted(os.listdir("/sys/dev/block")):
        if not Path("/sys/dev/block", name, "partition").exists():
            major, minor = name.split(":")
            return int(major), int(minor)
    pytest.skip("no block device here")


@in_namespaces("v1")
async def test_disks_are_throttled(world: World) -> None:
    major, minor = some_disk()

    def throttle(resources: oci_pb2.LinuxResources, rate: int) -> dict[str, str]:
        block = resources.BlockIO
        lists = (
            block.ThrottleReadBpsDevice,
            block.ThrottleWriteBpsDevice,
            block.ThrottleReadIOPSDevice,
            block.ThrottleWriteIOPSDevice,
        )
        for devices in lists:
            devices.add(Major=major, Minor=minor, Rate=rate)
        names = ("read_bps", "write_bps", "read_iops", "write_iops")
        line = f"{major}:{minor} {rate}"
        return {f"blkio/blkio.throttle.{name}_device": line for name in names}

    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        expected = throttle(request.OCI.Linux.Resources, 5000)
        await sandbox.create_container(request)
        assert {file: read(file) for file in expected} == expected
        resources = oci_pb2.LinuxResources()
        expected = throttle(resources, 6000)
        await update(sandbox, resources)
        assert {file: read(file) for file in expected} == expected


@in_namespaces("v1", "v2")
async def test_a_limit_without_a_controller_is_no_error(world: World) -> None:
    """A host asks for limits that its own kernel has and the guest's may not have."""
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        resources = request.OCI.Linux.Resources
        resources.Network.ClassID = 7
        resources.Network.Priorities.add(Name="lo", Priority=1)
        resources.HugepageLimits.add(Pagesize="2MB", Limit=4 * MIB)
        resources.BlockIO.Weight = 100
        if world.version == "v2":
            resources.Pids.Limit = 5
            resources.Memory.Limit = 64 * MIB
            resources.CPU.Shares = 512
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        await update(sandbox, resources)
