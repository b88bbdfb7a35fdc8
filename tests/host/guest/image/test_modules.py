# SPDX-License-Identifier: Apache-2.0
"""modprobe and depmod are scripts here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.guest.image import modules

VERSION = "6.1.0-1"
NEEDS = {
    "virtio_blk": ["virtio.ko", "virtio_blk.ko"],
    "virtio_net": ["virtio.ko", "failover.ko", "virtio_net.ko"],
}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel's tree; its modprobe knows `NEEDS` and calls ext4 built in."""
    programs = tmp_path / "bin"
    programs.mkdir()
    kernel = tmp_path / "kernel"
    directory = kernel / "lib/modules" / VERSION
    (directory / "kernel").mkdir(parents=True)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        (directory / name).touch()
    cases = ""
    for name, files in NEEDS.items():
        for file in files:
            (directory / "kernel" / file).write_text(file)
        lines = "".join(f"echo insmod {directory}/kernel/{file};" for file in files)
        cases += f"    {name}) {lines};\n"
    cases += "    ext4) echo builtin ext4;;\n"
    cases += "    *) echo 'modprobe: FATAL: not found' >&2; exit 1;;\n"
    script = f'#!/bin/sh\nfor name; do :; done\ncase "$name" in\n{cases}esac\n'
    (programs / "modprobe").write_text(script)
    (programs / "depmod").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/depmod\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return kernel


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_a_module_comes_after_what_it_needs_and_once(kernel: Path) -> None:
    found = modules.resolve(kernel, VERSION, ["virtio_blk", "virtio_net"])
    assert names(found) == [
        "virtio.ko",
        "virtio_blk.ko",
        "failover.ko",
        "virtio_net.ko",
    ]


def test_a_module_that_is_built_in_or_unknown_adds_nothing(kernel: Path) -> None:
    assert modules.resolve(kernel, VERSION, ["ext4", "no_such_module"]) == []


def test_the_available_modules_are_copied_and_indexed(
    kernel: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    modules.install(kernel, VERSION, tree)
    target = tree / "usr/lib/modules" / VERSION
    assert (target / "kernel/virtio_net.ko").read_text() == "virtio_net.ko"
    assert (target / "modules.order").exists()
    assert (tmp_path / "depmod").read_text().splitlines() == [
        f"-b {kernel} {VERSION}",
        f"-b {tree} {VERSION}",
    ]


def test_what_the_initrd_loads_is_available_in_the_root_as_well() -> None:
    assert {*modules.BOOT, *modules.DRIVERS} <= set(modules.AVAILABLE)
