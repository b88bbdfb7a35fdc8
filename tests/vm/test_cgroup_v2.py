# SPDX-License-Identifier: Apache-2.0
"""Cgroup version 2 with all its controllers: limits, statistics, freezing, OOM kills.

Version 1 is tested without a VM: `tests/agent/test_resources.py`.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from kata_host.client import AgentClient, GuestContainer
from kata_protos import agent_pb2, oci_pb2
from tests.helpers.guest_container import inside, request, started
from tests.helpers.shell import Shell
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

MIB = 1 << 20


def fill(resources: oci_pb2.LinuxResources, factor: int) -> dict[str, str]:
    """Set every limit of version 2; return the content of the files afterwards."""
    memory, cpu = resources.Memory, resources.CPU
    memory.Limit = 64 * MIB * factor
    memory.Swap = 96 * MIB * factor
    memory.Reservation = 32 * MIB * factor
    # Only version 1 has these limits; in version 2 they are no error.
    memory.Kernel = memory.KernelTCP = 64 * MIB
    memory.Swappiness = 10
    cpu.Shares = 512 * factor
    cpu.Period = 50_000 * factor
    cpu.Quota = 20_000 * factor
    cpu.RealtimePeriod, cpu.RealtimeRuntime = 1_000_000, 10_000
    # More CPUs than the guest has.
    cpu.Cpus, cpu.Mems = "0-7", "0"
    resources.Pids.Limit = 50 * factor
    resources.Network.ClassID = 5
    del resources.HugepageLimits[:]
    resources.HugepageLimits.add(Pagesize="2MB", Limit=4 * MIB * factor)
    resources.HugepageLimits.add(Pagesize="64KB", Limit=4 * MIB)
    return {
        "memory.max": str(64 * MIB * factor),
        # Swap alone; in version 1, the limit includes memory.
        "memory.swap.max": str(32 * MIB * factor),
        "memory.low": str(32 * MIB * factor),
        "cpu.max": f"{20_000 * factor} {50_000 * factor}",
        "cpu.weight": str(1 + (512 * factor - 2) * 9999 // 262142),
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "pids.max": str(50 * factor),
        "hugetlb.2MB.max": str(4 * MIB * factor),
    }


async def read(
    client: AgentClient, container: GuestContainer, *files: str
) -> list[str]:
    """Read files of a container's cgroup, which is the root of its namespace."""
    script = f"cd /sys/fs/cgroup && cat {' '.join(files)}"
    return (await inside(client, container, script)).splitlines()


async def assert_set(
    client: AgentClient, container: GuestContainer, expected: dict[str, str]
) -> None:
    found = await read(client, container, *expected)
    assert dict(zip(expected, found, strict=True)) == expected


async def update(
    client: AgentClient, container: GuestContainer, resources: oci_pb2.LinuxResources
) -> None:
    await client.agent.update_container(
        agent_pb2.UpdateContainerRequest(container_id=container.id, resources=resources)
    )


async def stats(
    client: AgentClient, container: GuestContainer
) -> agent_pb2.CgroupStats:
    response = await client.agent.stats_container(
        agent_pb2.StatsContainerRequest(container_id=container.id)
    )
    return response.cgroup_stats


async def test_limits_are_set_changed_and_taken_off(client: AgentClient) -> None:
    message = request("sleep 1000")
    expected = fill(message.OCI.Linux.Resources, 1)
    async with started(client, message) as container:
        await assert_set(client, container, expected)
        for factor in (3, 2):
            resources = oci_pb2.LinuxResources()
            expected = fill(resources, factor)
            await update(client, container, resources)
            await assert_set(client, container, expected)
        partial = oci_pb2.LinuxResources()
        partial.Pids.Limit = 60
        await update(client, container, partial)
        await assert_set(client, container, {**expected, "pids.max": "60"})
        free = oci_pb2.LinuxResources()
        free.Memory.Limit = free.Memory.Swap = free.CPU.Quota = free.Pids.Limit = -1
        await update(client, container, free)
        expected = {**expected, "memory.max": "max", "memory.swap.max": "max"}
        expected |= {"cpu.max": "max 100000", "pids.max": "max"}
        assert (await read(client, container, "cpu.max"))[0].startswith("max ")
        del expected["cpu.max"]
        await assert_set(client, container, expected)


async def test_an_update_of_one_value_of_a_pair_keeps_the_other(
    client: AgentClient,
) -> None:
    message = request("sleep 1000")
    expected = fill(message.OCI.Linux.Resources, 1)
    async with started(client, message) as container:
        resources = oci_pb2.LinuxResources()
        resources.CPU.Quota = 30_000
        resources.Memory.Swap = 80 * MIB
        await update(client, container, resources)
        expected |= {"cpu.max": "30000 50000", "memory.swap.max": str(16 * MIB)}
        await assert_set(client, container, expected)
        resources = oci_pb2.LinuxResources()
        resources.CPU.Period = 60_000
        resources.Memory.Limit = 48 * MIB
        await update(client, container, resources)
        expected |= {"cpu.max": "30000 60000", "memory.max": str(48 * MIB)}
        expected |= {"memory.swap.max": str(32 * MIB)}
        await assert_set(client, container, expected)


async def test_disks_have_weights_and_throttles(
    client: AgentClient, shell: Shell
) -> None:
    disk = shell.run("cat /sys/block/vda/dev").strip()
    major, minor = map(int, disk.split(":"))
    message = request("sleep 1000")
    block = message.OCI.Linux.Resources.BlockIO
    block.Weight, block.LeafWeight = 100, 50
    block.ThrottleReadBpsDevice.add(Major=major, Minor=minor, Rate=5 * MIB)
    block.ThrottleWriteIOPSDevice.add(Major=major, Minor=minor, Rate=70)
    async with started(client, message) as container:
        (line,) = await read(client, container, "io.max")
        assert line == f"{disk} rbps={5 * MIB} wbps=max riops=max wiops=70"


async def test_statistics_are_those_of_the_cgroup(client: AgentClient) -> None:
    message = request(
        "head -c 5000000 /dev/zero > /dev/shm/x; sleep 1000 & while :; do :; done"
    )
    resources = message.OCI.Linux.Resources
    fill(resources, 1)
    async with started(client, message) as container:
        while True:
            found = await stats(client, container)
            if (
                found.cpu_stats.throttling_data.throttled_time
                # The kernel updates this file every other second.
                and found.memory_stats.stats["shmem"] > 4_900_000
                and found.memory_stats.cache > 4_900_000
                and found.pids_stats.current >= 2
            ):
                break
        cpu = found.cpu_stats
        assert cpu.cpu_usage.total_usage >= cpu.cpu_usage.usage_in_usermode > 0
        assert cpu.throttling_data.periods >= cpu.throttling_data.throttled_periods > 0
        memory = found.memory_stats
        assert memory.usage.limit == 64 * MIB
        assert memory.usage.max_usage >= memory.usage.usage
        assert memory.swap_usage.limit == 96 * MIB
        assert memory.stats["anon"] > 0
        assert found.pids_stats.limit == 50
        assert found.hugetlb_stats["2MB"].usage == 0


async def test_disk_statistics_count_what_was_read_from_disk(
    client: AgentClient, shell: Shell
) -> None:
    script = "find /usr/lib /usr/bin -type f | head -n 200 | xargs cat > /dev/null"
    message = request(f"read go; {script}; echo read; sleep 1000")
    async with started(client, message) as container:
        # Read from disk, because the guest's root was dropped from memory.
        shell.run("echo 3 > /proc/sys/vm/drop_caches")
        await container.init.write_stdin(b"\n")
        assert await anext(container.init.read_stdout()) == b"read\n"
        found = (await stats(client, container)).blkio_stats
        sizes = {e.op.lower(): e.value for e in found.io_service_bytes_recursive}
        counts = {e.op.lower(): e.value for e in found.io_serviced_recursive}
        assert sizes["read"] > 1_000_000
        assert 0 < counts["read"] < sizes["read"]


async def test_a_paused_container_stands_still_and_can_be_killed(
    client: AgentClient,
) -> None:
    name = {"container_id": ""}
    async with started(client, request("while :; do :; done")) as container:
        name["container_id"] = container.id
        await client.agent.pause_container(agent_pb2.PauseContainerRequest(**name))
        first = (await stats(client, container)).cpu_stats.cpu_usage.total_usage
        await asyncio.sleep(0.2)
        second = (await stats(client, container)).cpu_stats.cpu_usage.total_usage
        assert first == second
        with pytest.raises(StatusError, match="it is paused"):
            await inside(client, container, "true")
        await client.agent.resume_container(agent_pb2.ResumeContainerRequest(**name))
        while (await stats(client, container)).cpu_stats.cpu_usage.total_usage == first:
            pass
        await client.agent.pause_container(agent_pb2.PauseContainerRequest(**name))
        await container.kill()
        assert await container.init.wait() == 137


async def test_killing_all_reaches_cgroups_below(client: AgentClient) -> None:
    script = (
        "mount -o remount,rw /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/a/b && "
        "echo $$ > /sys/fs/cgroup/a/b/cgroup.procs && sleep 1000 & "
        "wait $!; sleep 1000 & echo ready; wait"
    )
    message = request(script)
    held = message.OCI.Process.Capabilities
    for each in (held.Bounding, held.Effective, held.Permitted):
        each.append("CAP_SYS_ADMIN")
    async with started(client, message) as container:

        async def pids() -> list[int]:
            listed = await client.agent.list_processes(
                agent_pb2.ListProcessesRequest(container_id=container.id, format="json")
            )
            found: list[int] = json.loads(listed.process_list)
            return found

        assert await pids()
        await container.kill()
        assert await container.init.wait() == 137
        # The others die by the same signal, but not before the init's end is known.
        while await pids():
            pass


async def test_each_oom_kill_is_reported_once(client: AgentClient) -> None:
    async def next_event() -> str:
        event = await client.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
        return event.container_id

    message = request("for i in 1 2 3; do tail /dev/zero; echo $?; done; sleep 1000")
    memory = message.OCI.Linux.Resources.Memory
    memory.Limit = memory.Swap = 16 * MIB
    async with started(client, message) as container:
        for _ in range(3):
            assert await next_event() == container.id
        found = await stats(client, container)
        assert found.memory_stats.usage.failcnt > 0
        # There is no fourth report.
        waiting = asyncio.create_task(next_event())
        await client.check()
        assert not waiting.done()
        waiting.cancel()
