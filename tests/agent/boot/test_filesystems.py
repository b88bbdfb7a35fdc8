# SPDX-License-Identifier: Apache-2.0
"""The real mounts of PID 1, in a tree of their own."""

from __future__ import annotations

import os
from pathlib import Path

from kata_agent.boot.filesystems import (
    filesystems,
    mount_filesystems,
    open_standard_descriptors,
)
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


def tree(root: Path) -> SystemPaths:
    return SystemPaths(
        proc=root / "proc",
        sys=root / "sys",
        dev=root / "dev",
        run=root / "run",
        etc=root / "etc",
    )


def mounted_below(root: Path) -> dict[str, str]:
    """Return the mount points below `root`, with types and options (man 5 proc)."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4].startswith(f"{root}/"):
            name = fields[4].removeprefix(f"{root}/")
            found[name] = f"{fields[fields.index('-') + 1]} {fields[5]}"
    return found


@in_namespaces("v2")
async def test_a_whole_tree(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path)
    assert mount_filesystems(paths) == []
    assert mounted_below(tmp_path) == {
        "proc": "proc rw,nosuid,nodev,noexec,relatime",
        "sys": "sysfs rw,nosuid,nodev,noexec,relatime",
        "dev": "devtmpfs rw,nosuid,relatime",
        "dev/shm": "tmpfs rw,nosuid,nodev,relatime",
        "dev/pts": "devpts rw,nosuid,noexec,relatime",
        "run": "tmpfs rw,nosuid,nodev,relatime",
    }
    assert (paths.proc / "self").exists()
    assert (paths.dev / "null").is_char_device()
    assert (paths.dev / "pts/ptmx").stat().st_mode & 0o777 == 0o666


@in_namespaces("v2")
async def test_a_mount_that_is_there_stays(world: World, tmp_path: Path) -> None:
    paths = tree(tmp_path)
    mount_filesystems(paths)
    (paths.run / "kept").touch()
    before = mounted_below(tmp_path)
    assert mount_filesystems(paths) == []
    assert mounted_below(tmp_path) == before
    assert (paths.run / "kept").exists()


@in_namespaces("v2")
async def test_one_that_fails_stops_no_other(world: World, tmp_path: Path) -> None:
    (tmp_path / "sys").write_text("in the way")
    (warning,) = mount_filesystems(tree(tmp_path))
    assert warning == f"mount point '{tmp_path}/sys': File exists"
    assert set(mounted_below(tmp_path)) == {"proc", "dev", "dev/shm", "dev/pts", "run"}


def test_later_targets_are_inside_earlier_ones() -> None:
    targets = [filesystem.target for filesystem in filesystems(SystemPaths())]
    for position, target in enumerate(targets):
        assert not any(target in earlier.parents for earlier in targets[:position])


@in_namespaces("v2")
async def test_missing_standard_descriptors_are_opened(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "console").write_text("")
    os.closerange(0, 3)
    open_standard_descriptors(SystemPaths(dev=tmp_path))
    os.write(1, b"out\n")
    os.write(2, b"err\n")
    assert os.get_inheritable(0)
    assert (tmp_path / "console").read_text() in ("out\n", "err\n")


@in_namespaces("v2")
async def test_without_a_console_they_are_opened_on_nothing(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    os.close(1)
    open_standard_descriptors(SystemPaths(dev=tmp_path))
    assert os.path.samestat(os.fstat(1), os.stat("/dev/null"))
