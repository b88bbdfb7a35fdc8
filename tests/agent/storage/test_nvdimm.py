# SPDX-License-Identifier: Apache-2.0
"""The choice of the node to mount; `test_disk` mounts real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import nvdimm
from tests.helpers.drivers import add_disk
from tests.helpers.sysfs import Sysfs

DISK = "/devices/LNXSYSTM:00/ndbus0/region0/block/pmem1"


async def add(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    return await add_disk(nvdimm, sysfs, monkeypatch, source)


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
