# SPDX-License-Identifier: Apache-2.0
"""The choice of the node to mount; `test_disk` mounts real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import mmio
from tests.helpers.drivers import add_disk
from tests.helpers.sysfs import Sysfs

DISK = "/devices/platform/a0003e00.virtio_mmio/virtio3/block/vdb"


async def add(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    return await add_disk(mmio, sysfs, monkeypatch, source)


async def test_a_disk_is_found_and_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    assert await add(sysfs, monkeypatch, "/dev/vdb") == sysfs.paths.dev / "vdb"


async def test_another_disk_is_not_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    with pytest.raises(Timeout):
        await add(sysfs, monkeypatch, "/dev/vdz")
