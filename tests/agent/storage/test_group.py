# SPDX-License-Identifier: Apache-2.0
"""A volume given to a group, in namespaces of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import MS_BIND, MS_RDONLY, MS_REMOUNT, mount
from kata_agent.linux.mount_options import MountOptions
from kata_agent.storage.group import apply_group, own_by_group, split_group
from kata_agent.storage.mount_point import MountPoint, parse_mount_point
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import FSGroup
from kata_protos.types_pb2 import Always, FSGroupChangePolicy, OnRootMismatch
from tests.helpers.namespace import World, in_namespaces

VOLUME = Path("/run/kata-containers/volume")
GROUP = 4000


def make_volume() -> MountPoint:
    """Make a volume of root's: a file, a program, a directory, a symlink out of it."""
    (VOLUME / "inner").mkdir(parents=True)
    for name, mode in {"inner": 0o700, "inner/file": 0o600, "program": 0o4711}.items():
        if name != "inner":
            (VOLUME / name).touch()
        (VOLUME / name).chmod(mode)
    (VOLUME / "link").symlink_to("/etc")
    return parse_mount_point(SystemPaths(), str(VOLUME))


def look(name: str = "") -> tuple[int, str]:
    """Return group and mode (octal) of a file in the volume."""
    status = (VOLUME / name).lstat()
    return status.st_gid, f"{status.st_mode & 0o7777:o}"


def group(policy: FSGroupChangePolicy = Always) -> FSGroup:
    return FSGroup(group_id=GROUP, group_change_policy=policy)


@in_namespaces("v2")
async def test_files_and_directories_get_the_group_but_no_link_s_target(
    world: World,
) -> None:
    apply_group(make_volume(), group(), MountOptions())
    assert look() == (GROUP, "2775")
    assert look("inner") == (GROUP, "2770")
    assert look("inner/file") == (GROUP, "660")
    assert look("program") == (GROUP, "4771")
    assert look("link")[0] == 0
    assert Path("/etc").stat().st_gid == 0


@in_namespaces("v2")
async def test_on_root_mismatch_looks_at_the_root_alone(world: World) -> None:
    place = make_volume()
    apply_group(place, group(), MountOptions())
    os.chown(VOLUME / "program", 0, 7)
    apply_group(place, group(OnRootMismatch), MountOptions())
    assert look("program")[0] == 7
    VOLUME.chmod(0o755)
    apply_group(place, group(OnRootMismatch), MountOptions())
    assert look("program")[0] == GROUP


@in_namespaces("v2")
async def test_a_read_only_volume_stays_as_it_is(world: World) -> None:
    place = make_volume()
    mount(VOLUME, VOLUME, "", MS_BIND)
    mount(VOLUME, VOLUME, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
    apply_group(place, group(), MountOptions(flags=MS_RDONLY))
    assert look("inner/file") == (0, "600")


@in_namespaces("v2")
async def test_own_by_group_changes_the_directory_alone(world: World) -> None:
    own_by_group(make_volume(), GROUP)
    assert look() == (GROUP, "2755")
    assert look("inner/file") == (0, "600")


@pytest.mark.parametrize("group", ["", "x", "-1", "4294967295", "9" * 5000])
def test_a_group_is_a_number_that_a_file_can_have(group: str) -> None:
    with pytest.raises(InvalidArgument, match="not a group id"):
        split_group([f"fsgid={group}"])
    assert split_group(["fsgid=4294967294", "ro"]) == (["ro"], 4294967294)
