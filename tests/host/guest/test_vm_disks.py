# SPDX-License-Identifier: Apache-2.0
"""Disks of a real QEMU, whose machine does not run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.guest.qmp import Qmp, QmpError
from kata_host.guest.vm_command import Sockets
from kata_host.guest.vm_disks import monitor_at, plug_disk, remove_unused_disks
from tests.helpers.paused_qemu import paused_qemu


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    with paused_qemu(tmp_path / "vm") as monitor:
        yield monitor


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a,b.erofs"
    path.write_bytes(bytes(1 << 16))
    return path


def folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def disks(monitor: Path) -> list[dict[str, Any]]:
    with Qmp(monitor) as qmp:
        return [disk for disk in qmp("query-block") if "inserted" in disk]


def test_a_disk_stays_as_long_as_its_folder(
    monitor: Path, image: Path, tmp_path: Path
) -> None:
    one, two = folder(tmp_path, "one"), folder(tmp_path, "two")
    addresses = {plug_disk(monitor, each, image) for each in (one, two)}
    assert len(addresses) == 2
    found = disks(monitor)
    assert [disk["inserted"]["ro"] for disk in found] == [True, True]
    (one / "disk").unlink()
    remove_unused_disks(monitor)
    (left,) = disks(monitor)
    assert left["inserted"]["file"] == str(two / "disk")
    # Whoever plugs the next one removes what was left.
    (two / "disk").unlink()
    plug_disk(monitor, folder(tmp_path, "three"), image)
    (left,) = disks(monitor)
    assert left["inserted"]["file"] == str(tmp_path / "three" / "disk")


def test_a_disk_that_was_never_attached_goes_too(
    monitor: Path, image: Path, tmp_path: Path
) -> None:
    """Its program was killed between the two commands."""
    (tmp_path / "gone").symlink_to(image)
    file = {"driver": "file", "filename": str(tmp_path / "gone")}
    name = {"node-name": "disk-0123abcd", "read-only": True}
    with Qmp(monitor) as qmp:
        qmp("blockdev-add", driver="raw", file=file, **name)
    (tmp_path / "gone").unlink()
    remove_unused_disks(monitor)
    with Qmp(monitor) as qmp:
        assert qmp("query-named-block-nodes") == []


def test_what_cannot_be_plugged_leaves_nothing(monitor: Path, tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="No such file or directory"):
        plug_disk(monitor, folder(tmp_path, "one"), tmp_path / "none")
    assert disks(monitor) == []
    with pytest.raises(QmpError, match="qmp: "):
        remove_unused_disks(tmp_path / "none")


def test_the_monitor_of_a_vm_is_beside_its_socket(monitor: Path) -> None:
    vm = Sockets(monitor.parent)
    assert monitor_at(f"hvsock://{vm.hybrid}:1024") == vm.qmp
    for address in (
        f"hvsock://{vm.console}:1024",
        f"unix://{vm.hybrid}",
        "vsock://3:1",
    ):
        assert monitor_at(address) is None
    os.unlink(vm.qmp)
    assert monitor_at(f"hvsock://{vm.hybrid}:1024") is None
