# SPDX-License-Identifier: Apache-2.0
"""Swap space. No test enables swap, because swap is in no namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, Timeout
from kata_agent.machine import swap
from kata_agent.machine.swap import add_swap_disk, add_swap_file
from tests.helpers.namespace import require_root
from tests.helpers.sysfs import Sysfs

BRIDGE = "/devices/pci0000:00/0000:00:02.0"


@pytest.fixture
def sysfs(tmp_path: Path) -> Iterator[Sysfs]:
    sysfs = Sysfs(tmp_path)
    yield sysfs
    sysfs.monitor.close()


async def test_the_disk_at_a_pci_path_is_swapped_to(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped: list[Path] = []
    monkeypatch.setattr(swap, "swap_on", swapped.append)
    bus = sysfs.paths.sys / BRIDGE.removeprefix("/") / "pci_bus/0000:01"
    bus.mkdir(parents=True)
    sysfs.add("block", f"{BRIDGE}/0000:01:1e.0/virtio4/block/vdb")
    await add_swap_disk(sysfs.hotplug(), [2, 30])
    assert swapped == [sysfs.paths.dev / "vdb"]
    sysfs.uevents.close()


async def test_a_disk_that_does_not_come_is_named(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="a block device at PCI path 02$"):
        await add_swap_disk(sysfs.hotplug(0.01), [2])
    sysfs.uevents.close()


async def test_a_path_is_needed(sysfs: Sysfs) -> None:
    with pytest.raises(InvalidArgument, match="swap: no PCI path"):
        await add_swap_disk(sysfs.hotplug(), [])
    for path in ("", "swapfile"):
        with pytest.raises(InvalidArgument, match=f"swap '{path}': not an absolute"):
            await add_swap_file(path)


@pytest.mark.root
async def test_the_kernel_refuses_a_file_without_a_swap_header(tmp_path: Path) -> None:
    require_root()
    file = tmp_path / "swapfile"
    file.write_bytes(bytes(10 * os.sysconf("SC_PAGE_SIZE")))
    with pytest.raises(OSError, match="swapfile"):
        await add_swap_file(str(file))
