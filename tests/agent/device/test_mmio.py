# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_agent.device import mmio
from kata_agent.errors import InvalidArgument, Timeout
from kata_protos.agent_pb2 import Device
from tests.helpers.sysfs import Sysfs

DEVICE = "/devices/platform/a0003e00.virtio_mmio/virtio3"


async def test_a_disk_is_found_by_its_name(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{DEVICE}/block/vda")
    sysfs.add("block", f"{DEVICE}/block/vdaa")
    found = await mmio.wait_for_disk(sysfs.hotplug(), "/dev/vda")
    assert found == sysfs.paths.dev / "vda"


async def test_a_disk_with_a_longer_name_is_another(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{DEVICE}/block/vdab")
    with pytest.raises(Timeout, match="waiting for block device /dev/vda$"):
        await mmio.wait_for_disk(sysfs.hotplug(0.01), "/dev/vda")


async def test_a_match_has_the_disk_s_numbers(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{DEVICE}/block/vda", node=False)
    (sysfs.paths.dev / "vda").symlink_to("/dev/zero")
    match = await mmio.find(sysfs.hotplug(), Device(vm_path="/dev/vda"))
    assert match.node is not None
    assert (match.node.major, match.node.minor) == (1, 5)


async def test_a_path_outside_of_dev_is_refused(sysfs: Sysfs) -> None:
    with pytest.raises(InvalidArgument, match="not a node in /dev"):
        await mmio.wait_for_disk(sysfs.hotplug(), "/etc/passwd")
