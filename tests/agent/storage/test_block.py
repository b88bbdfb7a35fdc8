# SPDX-License-Identifier: Apache-2.0
"""The choice of the node to mount; `test_disk` mounts real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, Timeout
from kata_agent.storage import block
from tests.helpers.drivers import add_disk
from tests.helpers.sysfs import Sysfs

DISK = "/devices/pci0000:00/0000:00:02.0/virtio1/block/vdb"


async def add(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str) -> Path:
    return await add_disk(block, sysfs, monkeypatch, source)


async def test_a_disk_is_found_and_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    assert await add(sysfs, monkeypatch, "02") == sysfs.paths.dev / "vdb"


async def test_another_disk_is_not_mounted(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.add("block", DISK)
    with pytest.raises(Timeout):
        await add(sysfs, monkeypatch, "03")


async def test_a_disk_may_be_named_by_its_node(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await add(sysfs, monkeypatch, "/dev/vdc") == sysfs.paths.dev / "vdc"


async def test_a_node_elsewhere_is_refused(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidArgument, match="not a node in /dev"):
        await add(sysfs, monkeypatch, "/etc/passwd")
