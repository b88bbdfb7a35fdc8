# SPDX-License-Identifier: Apache-2.0
"""`kata_guest_filesystem_*`: space and inodes of the guest's writable file systems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from kata_agent.linux.mountinfo import read_mounts
from kata_agent.metrics.family import Family, items, merged
from kata_agent.system_paths import SystemPaths

TYPES: Final = frozenset({"ext4", "xfs", "btrfs", "vfat", "overlay"})
"""File systems on disks of this guest. File systems that the host serves are left out,
because the host may not answer."""


def filesystem_families(paths: SystemPaths) -> Iterator[Family]:
    """Yield bytes and inodes of each writable file system, also if it is mounted more
    than once. Blocks."""
    space: list[Family] = []
    inodes: list[Family] = []
    seen: set[tuple[int, int]] = set()
    disks = _disk_names(paths)
    for mount in read_mounts(paths.proc / "self/mountinfo"):
        device = (mount.major, mount.minor)
        if mount.fstype not in TYPES or device in seen:
            continue
        try:
            status = os.statvfs(mount.point)
        except OSError:
            # The mount point is hidden below another mount, or has been unmounted.
            continue
        if status.f_flag & os.ST_RDONLY:
            continue
        seen.add(device)
        # By the name that `kata_guest_diskstat` has for the disk.
        name = disks.get(device) or mount.source.rpartition("/")[2]
        labels = {"mount": mount.point, "device": name}
        size = status.f_frsize
        space.append(
            items(
                "kata_guest_filesystem_bytes",
                "Space of a file system in bytes",
                {
                    "total": status.f_blocks * size,
                    "used": (status.f_blocks - status.f_bfree) * size,
                    "available": status.f_bavail * size,
                },
                **labels,
            )
        )
        inodes.append(
            items(
                "kata_guest_filesystem_inodes",
                "Inodes of a file system",
                {
                    "total": status.f_files,
                    "used": status.f_files - status.f_ffree,
                    "available": status.f_favail,
                },
                **labels,
            )
        )
    if seen:
        yield merged(space)
        yield merged(inodes)


def _disk_names(paths: SystemPaths) -> dict[tuple[int, int], str]:
    """Return the name of each device number (man 5 proc_diskstats)."""
    try:
        lines = (paths.proc / "diskstats").read_text().splitlines()
    except FileNotFoundError:
        # A kernel without block devices.
        return {}
    rows = (line.split() for line in lines)
    return {(int(major), int(minor)): name for major, minor, name, *_ in rows}
