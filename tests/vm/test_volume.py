# SPDX-License-Identifier: Apache-2.0
"""Volumes and swap on disks of a real guest: statistics, growth while mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.guest.vm_guest import VmGuest
from kata_protos import agent_pb2, csi_pb2
from kata_protos.agent_pb2 import Storage
from kata_protos.oci_pb2 import LinuxDeviceCgroup
from tests.helpers.guest_container import STORAGE, inside, request, run, started
from tests.helpers.plug import MIB, Plug
from tests.helpers.shell import Shell
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

PLACE = f"{STORAGE}/volume"
MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
ANYTHING = LinuxDeviceCgroup(Allow=True, Type="a", Major=-1, Minor=-1, Access="rwm")


async def total(client: AgentClient) -> int:
    """Return the size of the volume in bytes from the agent's statistics."""
    stats = await client.agent.get_volume_stats(
        agent_pb2.VolumeStatsRequest(volume_guest_path=PLACE)
    )
    assert not stats.volume_condition.abnormal
    usages = {usage.unit: usage for usage in stats.usage}
    return usages[csi_pb2.VolumeUsage.BYTES].total


async def resize(client: AgentClient, size: int) -> None:
    await client.agent.resize_volume(
        agent_pb2.ResizeVolumeRequest(volume_guest_path=PLACE, size=size)
    )


@pytest.mark.parametrize("fstype", MAKERS)
async def test_a_volume_grows_while_a_container_uses_it(
    client: AgentClient, plug: Plug, fstype: str
) -> None:
    small, large = 320 * MIB, 640 * MIB
    image = plug.image(small, mkfs=MAKERS[fstype])
    node = plug.disk(image, "rp0")
    storage = Storage(driver="blk", source="08/00", fstype=fstype, mount_point=PLACE)
    message = request("echo kept > /volume/file; sleep 1000", storages=[storage])
    async with started(client, message) as container:
        before = await total(client)
        with pytest.raises(
            StatusError, match=f"volume '{PLACE}': its disk has only {small} bytes"
        ):
            await resize(client, large)
        os.truncate(image, large)
        plug.qmp("block_resize", size=large, **{"node-name": node})
        await resize(client, large)
        assert await total(client) > before + 250 * MIB
        # A second resize is no error.
        await resize(client, large)
        sizes = await inside(client, container, "df -m /volume; cat /volume/file")
        assert int(sizes.splitlines()[1].split()[1]) > 500
        assert sizes.endswith("kept\n")


async def test_a_volume_whose_disk_is_pulled_out(
    client: AgentClient, guest: VmGuest, tmp_path: Path
) -> None:
    with Plug(guest, tmp_path) as plug:
        plug.disk(plug.image(mkfs=MAKERS["ext4"]), "rp0")
        storage = Storage(
            driver="blk", source="08/00", fstype="ext4", mount_point=PLACE
        )
        message = request("cat /volume/lost+found; sleep 1000", storages=[storage])
        async with started(client, message):
            await total(client)
            plug.close()
            stats = await client.agent.get_volume_stats(
                agent_pb2.VolumeStatsRequest(volume_guest_path=PLACE)
            )
            assert stats.volume_condition.abnormal
            assert stats.volume_condition.message == "its disk is gone"
        # The container was removed without an error.
        with pytest.raises(StatusError, match=f"volume '{PLACE}': not found"):
            await total(client)


async def test_swap_on_a_disk_that_arrives(
    client: AgentClient, plug: Plug, shell: Shell
) -> None:
    plug.disk(plug.image(mkfs=("mkswap",)), "pci-bridge-0", addr="3")
    await client.agent.add_swap(agent_pb2.AddSwapRequest(PCIPath=[0x10, 3]))
    try:
        assert "/dev/vdb" in shell.run("cat /proc/swaps")
        # No container can read the swapped pages of others.
        script = "mknod /tmp/swap b 254 16 && head -c 1 /tmp/swap"
        result = await run(client, request(script, rules=[ANYTHING]))
        assert result.status == 1
        assert b"/tmp/swap: Operation not permitted" in result.stderr
    finally:
        shell.run("swapoff /dev/vdb")


async def test_swap_by_path(client: AgentClient, plug: Plug, shell: Shell) -> None:
    plug.scsi_disk(plug.image(mkfs=("mkswap",)), 1)
    # A storage waits for the disk; the storage itself fails, for want of a file system.
    storage = Storage(driver="scsi", source="1:0", fstype="ext4", mount_point=PLACE)
    with pytest.raises(StatusError, match="Invalid argument, mounting ext4"):
        await run(client, request("true", storages=[storage]))
    await client.agent.add_swap_path(agent_pb2.AddSwapPathRequest(path="/dev/sda"))
    assert "/dev/sda" in shell.run("cat /proc/swaps")
    shell.run("swapoff /dev/sda")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/dev/nothing", "cannot swap on '/dev/nothing': No such file"),
        ("/dev/vda", "cannot swap on '/dev/vda': Device or resource busy"),
        ("dev", "swap 'dev': not an absolute path"),
    ],
)
async def test_a_path_that_cannot_be_swapped_on_is_refused(
    client: AgentClient, path: str, error: str
) -> None:
    with pytest.raises(StatusError, match=error):
        await client.agent.add_swap_path(agent_pb2.AddSwapPathRequest(path=path))


async def test_a_swap_disk_that_does_not_come_is_an_error(client: AgentClient) -> None:
    with pytest.raises(StatusError, match="swap: no PCI path"):
        await client.agent.add_swap(agent_pb2.AddSwapRequest())
