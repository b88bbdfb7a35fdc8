# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re

from kata_agent.device.sysfs_search import find_device
from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from tests.helpers.sysfs import Sysfs

SLOT = "/devices/pci0000:00/0000:00:02.0"
DISK = f"{SLOT}/virtio1/block/vdb"


def find(sysfs: Sysfs, subsystem: str, devpath: str) -> Uevent | None:
    pattern = re.compile(re.escape(devpath))
    return find_device(sysfs.paths, UeventMatcher("it", subsystem, pattern))


async def test_a_device_is_found_in_its_class(sysfs: Sysfs) -> None:
    event = sysfs.add("block", DISK)
    assert find(sysfs, "block", DISK) == event == Uevent("add", "block", DISK, "vdb")


async def test_a_device_is_found_on_its_bus(sysfs: Sysfs) -> None:
    sysfs.add("pci", SLOT, node=False)
    bus = sysfs.paths.sys / "bus/pci"
    bus.mkdir(parents=True)
    (sysfs.paths.sys / "class/pci").rename(bus / "devices")
    found = find(sysfs, "pci", SLOT)
    assert found == Uevent("add", "pci", SLOT)


async def test_an_interface_has_its_own_name(sysfs: Sysfs) -> None:
    sysfs.add("net", f"{SLOT}/virtio1/net/eth0", node=False)
    found = find(sysfs, "net", f"{SLOT}/virtio1/net/eth0")
    assert found is not None
    assert found.name == "eth0"


async def test_another_device_is_not_taken_for_it(sysfs: Sysfs) -> None:
    assert find(sysfs, "block", DISK) is None
    sysfs.add("block", f"{DISK}1")
    assert find(sysfs, "block", DISK) is None


async def test_a_device_without_its_node_is_not_ready(sysfs: Sysfs) -> None:
    for subsystem, devpath in (("block", DISK), ("vfio", "/devices/virtual/vfio/7")):
        sysfs.add(subsystem, devpath, node=False)
        assert find(sysfs, subsystem, devpath) is None
        (sysfs.paths.dev / os.path.basename(devpath)).touch()
        assert find(sysfs, subsystem, devpath) is not None


async def test_a_disk_that_cannot_be_opened_is_not_ready(sysfs: Sysfs) -> None:
    sysfs.add("block", DISK, node=False)
    # As ENXIO of a disk without its medium, this is an error of open(2).
    (sysfs.paths.dev / "vdb").symlink_to("vdb")
    assert find(sysfs, "block", DISK) is None


async def test_a_device_that_has_just_gone_is_left_out(sysfs: Sysfs) -> None:
    sysfs.add("block", DISK)
    (sysfs.paths.sys / "class/block/vda").symlink_to("/nowhere")
    (sysfs.paths.sys / DISK.removeprefix("/") / "uevent").unlink()
    assert find(sysfs, "block", DISK) is None
