# SPDX-License-Identifier: Apache-2.0
"""Mounts on opened directories, with their flags from the first moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.linux.beneath import open_directory, opened
from kata_agent.linux.mount import MS_NOEXEC, MS_RDONLY, MS_REC, MS_SHARED, mount
from kata_agent.linux.mount_at import (
    attach_tree,
    bind_at,
    clone_tree,
    mount_at,
    remount_at,
    set_propagation,
    unmount_at,
)
from kata_agent.linux.mount_options import MountOptions
from tests.helpers.namespace import World, in_namespaces


def make(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    return tmp_path / "source", tmp_path / "target"


def flags_of(path: Path) -> int:
    return os.statvfs(path).f_flag


@in_namespaces("v2")
async def test_a_read_only_bind_is_never_writable(world: World, tmp_path: Path) -> None:
    source, target = make(tmp_path)
    with opened(open_directory(str(source))) as one:
        with opened(open_directory(str(target))) as two:
            bind_at(one, two, MountOptions(MS_RDONLY | MS_NOEXEC))
    assert (
        flags_of(target) & (os.ST_RDONLY | os.ST_NOEXEC) == os.ST_RDONLY | os.ST_NOEXEC
    )
    assert not flags_of(source) & os.ST_RDONLY
    with pytest.raises(OSError, match="Read-only"):
        (target / "file").touch()


@in_namespaces("v2")
async def test_a_mount_goes_onto_the_opened_directory_wherever_its_name_leads(
    world: World, tmp_path: Path
) -> None:
    _, target = make(tmp_path)
    with opened(open_directory(str(target))) as descriptor:
        target.rename(tmp_path / "moved")
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to("elsewhere")
        mount_at("tmpfs", descriptor, "tmpfs", MountOptions(data="size=64k"))
    assert (tmp_path / "moved").is_mount()
    assert not (tmp_path / "elsewhere").is_mount()


@in_namespaces("v2")
@pytest.mark.parametrize("recursive", [True, False])
async def test_a_clone_takes_the_mounts_below_along_when_asked(
    world: World, tmp_path: Path, recursive: bool
) -> None:
    source, target = make(tmp_path)
    (source / "inner").mkdir()
    mount("tmpfs", source / "inner", "tmpfs")
    with opened(open_directory(str(source))) as one:
        with opened(clone_tree(one, recursive=recursive)) as tree:
            with opened(open_directory(str(target))) as two:
                attach_tree(tree, two)
    assert (target / "inner").is_mount() is recursive


@in_namespaces("v2")
async def test_a_remount_keeps_the_flags_of_the_mount(
    world: World, tmp_path: Path
) -> None:
    mount("tmpfs", tmp_path, "tmpfs", MS_NOEXEC, "size=64k")
    with opened(open_directory(str(tmp_path))) as mounted:
        remount_at(mounted, MountOptions(data="size=128k"))
    assert flags_of(tmp_path) & os.ST_NOEXEC
    status = os.statvfs(tmp_path)
    assert status.f_blocks * status.f_frsize == 128 << 10


@in_namespaces("v2")
async def test_propagation_of_one_mount(world: World, tmp_path: Path) -> None:
    mount("tmpfs", tmp_path, "tmpfs")
    with opened(open_directory(str(tmp_path))) as mounted:
        set_propagation(mounted, MS_SHARED | MS_REC)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    (line,) = (line for line in lines if line.split()[4] == str(tmp_path))
    assert " shared:" in line


@in_namespaces("v2")
async def test_the_top_mount_of_a_name_is_unmounted(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "point").mkdir()
    mount("tmpfs", tmp_path / "point", "tmpfs")
    with opened(open_directory(str(tmp_path))) as parent:
        with open(tmp_path / "point/file", "w"):
            with pytest.raises(OSError, match="busy"):
                unmount_at(parent, "point")
            unmount_at(parent, "point", lazy=True)
    assert not (tmp_path / "point").is_mount()
