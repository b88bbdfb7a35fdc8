# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_agent.device import block
from kata_agent.errors import InvalidArgument, NotFound, Timeout
from kata_protos.agent_pb2 import Device
from tests.helpers.sysfs import Sysfs, added

BRIDGE = "/devices/pci0000:00/0000:00:02.0"


async def test_a_disk_is_found_by_its_pci_path(sysfs: Sysfs) -> None:
    (sysfs.paths.sys / BRIDGE.removeprefix("/") / "pci_bus/0000:01").mkdir(parents=True)
    sysfs.add("block", f"{BRIDGE}/0000:01:03.0/virtio4/block/vdb")
    sysfs.add("block", f"{BRIDGE}/0000:01:04.0/virtio5/block/vdc")
    found = await block.wait_for_disk(sysfs.hotplug(), "02/03")
    assert found == sysfs.paths.dev / "vdb"


async def test_a_partition_is_not_taken_for_its_disk(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{BRIDGE}/virtio4/block/vdb/vdb1")
    with pytest.raises(Timeout, match="a block device at PCI path 02"):
        await block.wait_for_disk(sysfs.hotplug(0.01), "02")


async def test_the_bus_is_rescanned_for_a_missing_disk(sysfs: Sysfs) -> None:
    rescan = sysfs.paths.sys / "bus/pci/rescan"
    rescan.parent.mkdir(parents=True)
    waiting = asyncio.create_task(block.wait_for_disk(sysfs.hotplug(), "02"))
    assert await sysfs.until_written(rescan) == "1"
    sysfs.monitor.send(added("block", f"{BRIDGE}/virtio4/block/vdb"))
    assert await waiting == sysfs.paths.dev / "vdb"


async def test_a_disk_without_a_pci_path_is_found_by_its_node(sysfs: Sysfs) -> None:
    # No block device can be made here, so its type is the error that names the node.
    (sysfs.paths.dev / "vdb").touch()
    with pytest.raises(InvalidArgument, match="dev/vdb: not a device node"):
        await block.find(sysfs.hotplug(), Device(vm_path="/dev/vdb"))
    with pytest.raises(NotFound, match="dev/vdc: no such node"):
        await block.find(sysfs.hotplug(), Device(vm_path="/dev/vdc"))


async def test_a_node_of_the_guest_is_read(sysfs: Sysfs) -> None:
    (sysfs.paths.dev / "vdb").symlink_to("/dev/null")
    match = await block.find(sysfs.hotplug(), Device(vm_path="/dev/vdb"))
    assert match.node is not None
    assert (match.node.major, match.node.minor) == (1, 3)
    assert match.node.container_path is None
