# SPDX-License-Identifier: Apache-2.0
"""Volumes: the use and the growth of file systems on the host's disks."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument, InvalidState, NotFound, Unimplemented
from kata_agent.linux import ext4, xfs
from kata_agent.linux.mountinfo import Mount, read_mounts
from kata_agent.system_paths import SystemPaths
from kata_protos.csi_pb2 import VolumeCondition, VolumeStatsResponse, VolumeUsage

RESIZERS: Final = {"ext3": ext4.resize, "ext4": ext4.resize, "xfs": xfs.resize}
"""The file systems that the kernel grows while they are mounted."""


async def volume_stats(paths: SystemPaths, path: str) -> VolumeStatsResponse:
    """Return total, used and available bytes and inodes of the file system at `path`.

    The volume is abnormal if its disk has been unplugged: cached files can still be
    read, but nothing that is written is kept. Raises `InvalidArgument`, `NotFound` or
    `OSError`.
    """
    status, is_gone = await blocking(_file_system_status, paths, path)
    size = status.f_frsize
    return VolumeStatsResponse(
        usage=[
            VolumeUsage(
                unit=VolumeUsage.BYTES,
                total=status.f_blocks * size,
                available=status.f_bfree * size,
                used=(status.f_blocks - status.f_bfree) * size,
            ),
            VolumeUsage(
                unit=VolumeUsage.INODES,
                total=status.f_files,
                available=status.f_ffree,
                used=status.f_files - status.f_ffree,
            ),
        ],
        volume_condition=VolumeCondition(
            abnormal=is_gone, message="its disk is gone" if is_gone else "OK"
        ),
    )


def _file_system_status(
    paths: SystemPaths, path: str
) -> tuple[os.statvfs_result, bool]:
    # Through a descriptor, because a volume that cannot be opened is not healthy.
    volume = _open(path)
    try:
        device = os.fstat(volume).st_dev
        # Anonymous devices (major 0) have no disk.
        is_gone = bool(os.major(device)) and not _disk(paths, device).exists()
        return os.fstatvfs(volume), is_gone
    finally:
        os.close(volume)


async def resize_volume(paths: SystemPaths, path: str, size: int) -> None:
    """Grow the file system mounted at `path` to `size` bytes.

    The disk must have been enlarged already. A size that the file system has already is
    no error. Raises `Unimplemented` for a type that the kernel cannot grow,
    `InvalidState` for a size beyond the disk's, `InvalidArgument`, `NotFound` or
    `OSError`.
    """
    if not size:
        raise InvalidArgument(f"volume {path!r}: no size")
    await blocking(_resize, paths, path, size)


def _resize(paths: SystemPaths, path: str, size: int) -> None:
    volume = _open(path)
    try:
        device = os.fstat(volume).st_dev
        mount = _mount_of(paths, path, device)
        if mount.fstype not in RESIZERS:
            raise Unimplemented(f"volume {path!r}: cannot grow {mount.fstype}")
        block = os.fstatvfs(volume).f_bsize
        disk = _disk_size(paths, device)
        if size > disk:
            raise InvalidState(f"volume {path!r}: its disk has only {disk} bytes")
        RESIZERS[mount.fstype](volume, size // block)
    finally:
        os.close(volume)


def _open(path: str) -> int:
    if not path.startswith("/"):
        raise InvalidArgument(f"volume {path!r}: not an absolute path")
    try:
        volume = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"volume {path!r}: not found") from error
    mode = os.fstat(volume).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        os.close(volume)
        raise InvalidArgument(f"volume {path!r}: not a mounted file system")
    return volume


def _mount_of(paths: SystemPaths, path: str, device: int) -> Mount:
    number = (os.major(device), os.minor(device))
    for mount in read_mounts(paths.proc / "self/mountinfo"):
        if (mount.major, mount.minor) == number:
            return mount
    raise NotFound(f"volume {path!r}: not mounted")


def _disk_size(paths: SystemPaths, device: int) -> int:
    sectors = (_disk(paths, device) / "size").read_text()
    # Sectors of 512 bytes on every disk (kernel, Documentation/block/stat.rst).
    return int(sectors) * 512


def _disk(paths: SystemPaths, device: int) -> Path:
    """Return the directory of a block device in sysfs."""
    return paths.sys / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
