# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_agent.device.network import wait_for_interface
from kata_agent.errors import InvalidArgument, Timeout
from tests.helpers.sysfs import Sysfs, added

ROOT = "/devices/pci0000:00"


async def test_an_interface_is_found_with_or_without_virtio(sysfs: Sysfs) -> None:
    sysfs.add("net", f"{ROOT}/0000:00:02.0/virtio1/net/eth0", node=False)
    sysfs.add("net", f"{ROOT}/0000:00:03.0/net/eth1", node=False)
    assert await wait_for_interface(sysfs.hotplug(), "02") == "eth0"
    assert await wait_for_interface(sysfs.hotplug(), "03") == "eth1"


async def test_the_bus_is_rescanned_for_a_missing_interface(sysfs: Sysfs) -> None:
    rescan = sysfs.paths.sys / "bus/pci/rescan"
    rescan.parent.mkdir(parents=True)
    waiting = asyncio.create_task(wait_for_interface(sysfs.hotplug(), "04"))
    assert await sysfs.until_written(rescan) == "1"
    sysfs.monitor.send(added("net", f"{ROOT}/0000:00:04.0/virtio1/net/eth2"))
    assert await waiting == "eth2"


async def test_an_interface_that_does_not_come_is_named(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="a network interface at PCI path 04"):
        await wait_for_interface(sysfs.hotplug(0.01), "04")


async def test_a_bad_path_is_refused(sysfs: Sysfs) -> None:
    with pytest.raises(InvalidArgument, match="PCI path 'x'"):
        await wait_for_interface(sysfs.hotplug(), "x")
