# SPDX-License-Identifier: Apache-2.0
"""The choice of the node to mount; `test_disk` mounts real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import scsi
from tests.helpers.drivers import add_disk
from tests.helpers.sysfs import Sysfs

DISK = "/devices/pci0000:00/0000:00:04.0/virtio3/host2/target2:0:1/2:0:1:2/block/sdc"


async def add(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    (sysfs.paths.sys / "class/scsi_host").mkdir(parents=True, exist_ok=True)
    return await add_disk(scsi, sysfs, monkeypatch, source)


async def test_a_disk_is_found_and_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    assert await add(sysfs, monkeypatch, "1:2") == sysfs.paths.dev / "sdc"


async def test_another_disk_is_not_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    with pytest.raises(Timeout):
        await add(sysfs, monkeypatch, "7:7")
