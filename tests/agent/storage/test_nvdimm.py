# SPDX-License-Identifier: Apache-2.0
"""The choice of the node to mount; `test_disk` mounts real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import nvdimm
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage
from tests.helpers.drivers import open_context
from tests.helpers.sysfs import Sysfs

DISK = "/devices/LNXSYSTM:00/ndbus0/region0/block/pmem1"


async def add(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    """Add the storage `source`; return the node that would be mounted."""
    mounted: list[Path] = []

    async def mount(storage: Storage, context: DriverContext, node: Path) -> None:
        mounted.append(node)

    monkeypatch.setattr(nvdimm, "mount_disk", mount)
    async with open_context(hotplug=sysfs.hotplug(0.5)) as context:
        await nvdimm.add(Storage(source=source), context)
    (node,) = mounted
    return node


async def test_a_disk_is_found_and_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    assert await add(sysfs, monkeypatch, "/dev/pmem1") == sysfs.paths.dev / "pmem1"


async def test_another_disk_is_not_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    with pytest.raises(Timeout):
        await add(sysfs, monkeypatch, "/dev/pmem7")
