# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.device.scsi import scan, wait_for_disk
from kata_agent.errors import InvalidArgument, Timeout
from tests.helpers.sysfs import Sysfs, added

HOST = "/devices/pci0000:00/0000:00:04.0/virtio3/host2"


@pytest.fixture(autouse=True)
def scsi_hosts(sysfs: Sysfs) -> Path:
    hosts = sysfs.paths.sys / "class/scsi_host"
    hosts.mkdir(parents=True)
    return hosts


def disk(target: int, lun: int, name: str) -> str:
    return f"{HOST}/target2:0:{target}/2:0:{target}:{lun}/block/{name}"


async def test_addresses_are_compared_as_numbers(sysfs: Sysfs) -> None:
    sysfs.add("block", disk(1, 10, "sda"))
    sysfs.add("block", disk(11, 1, "sdb"))
    sysfs.add("block", disk(1, 1, "sdc"))
    found = await wait_for_disk(sysfs.hotplug(), "1:1")
    assert found == sysfs.paths.dev / "sdc"


async def test_a_disk_that_is_not_there_is_scanned_for(sysfs: Sysfs) -> None:
    sysfs.add("block", disk(1, 10, "sda"))
    host = sysfs.paths.sys / "class/scsi_host/host0"
    host.mkdir()
    waiting = asyncio.create_task(wait_for_disk(sysfs.hotplug(), "1:1"))
    assert await sysfs.until_written(host / "scan") == "0 1 1"
    sysfs.monitor.send(added("block", disk(1, 1, "sdb")))
    assert await waiting == sysfs.paths.dev / "sdb"


async def test_a_disk_that_does_not_come_is_named(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="a block device at SCSI address 1:1"):
        await wait_for_disk(sysfs.hotplug(0.01), "1:1")


@pytest.mark.parametrize(
    "address", ["", "1", "1:", ":1", "1:2:3", "a:b", "-1:0", "1:2 ", "123456:0"]
)
async def test_an_address_of_another_form_is_refused(
    sysfs: Sysfs, address: str
) -> None:
    with pytest.raises(InvalidArgument, match="SCSI address .* not of the form ID:LUN"):
        await wait_for_disk(sysfs.hotplug(), address)


def test_every_scsi_host_is_told(sysfs: Sysfs) -> None:
    for host in ("host0", "host1"):
        (sysfs.paths.sys / "class/scsi_host" / host).mkdir()
    scan(sysfs.paths, 7, 3)
    for host in ("host0", "host1"):
        file = sysfs.paths.sys / "class/scsi_host" / host / "scan"
        assert file.read_text() == "0 7 3"


def test_a_guest_without_scsi_cannot_scan(sysfs: Sysfs) -> None:
    (sysfs.paths.sys / "class/scsi_host").rmdir()
    with pytest.raises(FileNotFoundError):
        scan(sysfs.paths, 7, 3)
