# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory plugged into a running guest, with cgroup v1 and v2."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_host.guest.vm_guest import VmGuest
from kata_protos import agent_pb2
from tests.helpers import vm
from tests.helpers.guest_container import inside, request, started
from tests.helpers.plug import MIB, Plug
from tests.helpers.shell import Shell
from ttrpc.codes import Code
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

ALLOWED = "grep Cpus_allowed_list /proc/self/status | cut -f 2"
BLOCK = 128 * MIB


async def bring_online(client: AgentClient, cpus: int, *, cpu_only: bool) -> None:
    await client.agent.online_cpu_mem(
        agent_pb2.OnlineCPUMemRequest(nb_cpus=cpus, cpu_only=cpu_only)
    )


@pytest.fixture
def machine_shell(machine: VmGuest) -> Iterator[Shell]:
    with Shell(vm.connect(machine.socket, vm.CONSOLE)) as shell:
        yield shell


def memory_total(shell: Shell) -> int:
    """Return the guest's memory in bytes."""
    return int(shell.run("grep MemTotal /proc/meminfo").split()[1]) << 10


async def test_cpus_reach_the_containers_that_run(
    machine_client: AgentClient, machine_plug: Plug
) -> None:
    client = machine_client
    unbound = request("sleep 1000")
    unbound.OCI.Linux.CgroupsPath = "/pod/unbound"
    bound = request("sleep 1000", cpus="1-2")
    async with started(client, unbound) as free, started(client, bound) as narrow:
        assert await inside(client, free, ALLOWED) == "0-1\n"
        assert await inside(client, narrow, ALLOWED) == "1\n"
        machine_plug.cpu()
        # The number is a total. Asking again is no error, because runtimes ask before
        # each container.
        await bring_online(client, 3, cpu_only=True)
        await bring_online(client, 3, cpu_only=True)
        assert await inside(client, free, ALLOWED) == "0-2\n"
        assert await inside(client, narrow, ALLOWED) == "1-2\n"
        # A CPU that no call asked for is brought online by its event.
        machine_plug.cpu()
        script = f'until [ "$({ALLOWED})" = 0-3 ]; do usleep 20000; done'
        process = default_process(["sh", "-c", script])
        waiting = await free.exec("waiting", process)
        assert await waiting.wait() == 0


async def test_cpus_that_do_not_come(machines: dict[str, VmGuest]) -> None:
    async with AgentClient.connect(machines["v2"].address) as client:
        with pytest.raises(StatusError) as caught:
            await bring_online(client, 9, cpu_only=True)
        assert caught.value.code == Code.DEADLINE_EXCEEDED
        assert re.fullmatch(
            "cpus: [24] of 9 came online within 5 s", caught.value.message
        )


async def test_plugged_memory_comes_online(
    machine_client: AgentClient, machine_plug: Plug, machine_shell: Shell
) -> None:
    details = await machine_client.agent.get_guest_details(
        agent_pb2.GuestDetailsRequest(mem_block_size=True, mem_hotplug_probe=True)
    )
    assert details.mem_block_size_bytes == BLOCK
    assert not details.support_mem_hotplug_probe
    before = memory_total(machine_shell)
    machine_plug.memory(2 * BLOCK)
    await bring_online(machine_client, 0, cpu_only=False)
    # Online already, or when its event comes.
    machine_shell.run(
        "while grep -q offline /sys/devices/system/memory/memory*/state; "
        "do usleep 20000; done"
    )
    assert memory_total(machine_shell) == before + 2 * BLOCK
    # Without a call, the event alone brings the memory online.
    machine_plug.memory(BLOCK)
    wanted = (before + 3 * BLOCK) >> 10
    machine_shell.run(
        f"until grep -q 'MemTotal: *{wanted} kB' /proc/meminfo; do usleep 20000; done"
    )


async def test_memory_that_a_virtio_device_hands_over(
    machine_client: AgentClient, machine_plug: Plug, machine_shell: Shell
) -> None:
    """The device hands over block by block; the event of each brings it online."""
    machine_shell.run("modprobe virtio_mem")
    await bring_online(machine_client, 1, cpu_only=True)
    before = memory_total(machine_shell)
    device = machine_plug.growing_memory(4 * BLOCK, "pci-bridge-0", addr="8")
    for blocks in (2, 4):
        machine_plug.grow(device, blocks * BLOCK)
        wanted = (before + blocks * BLOCK) >> 10
        machine_shell.run(
            f"until grep -q 'MemTotal: *{wanted} kB' /proc/meminfo; "
            "do usleep 20000; done"
        )


async def test_a_kernel_that_cannot_be_told_of_memory(
    machine_client: AgentClient,
) -> None:
    with pytest.raises(StatusError) as caught:
        await machine_client.agent.mem_hotplug_by_probe(
            agent_pb2.MemHotplugByProbeRequest(memHotplugProbeAddr=[1 << 32])
        )
    assert caught.value.code == Code.UNIMPLEMENTED
    assert caught.value.message == "memory: this kernel cannot be told to probe it"
