# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kata_host.guest.image import initrd
from tests.host.guest.image.test_cpio import unpack


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """An initrd with two modules, unpacked."""
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/busybox").write_bytes(b"\x7fELF")
    modules = [tmp_path / name for name in ("virtio.ko", "erofs.ko")]
    for module in modules:
        module.write_text(module.name)
    return unpack(initrd.build(tree, modules), tmp_path / "unpacked")


def test_the_modules_are_there_in_the_order_of_loading(unpacked: Path) -> None:
    assert (unpacked / "modules/order").read_text() == "virtio.ko\nerofs.ko\n"
    assert (unpacked / "modules/erofs.ko").read_text() == "erofs.ko"


def test_busybox_and_init_can_be_run(unpacked: Path) -> None:
    for name in ("busybox", "init"):
        assert os.access(unpacked / name, os.X_OK)


def test_there_is_a_directory_for_each_mount(unpacked: Path) -> None:
    for name in ("dev", "proc", "sys", "root"):
        assert (unpacked / name).is_dir()


def test_init_is_a_script_that_a_shell_can_read(unpacked: Path) -> None:
    script = unpacked / "init"
    subprocess.run(["sh", "-n", script], check=True)
    assert initrd.HANDOVER in script.read_text()
    assert f"/{initrd.SOURCE}/." in script.read_text()
