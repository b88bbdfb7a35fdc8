# SPDX-License-Identifier: Apache-2.0
"""Volumes: statistics, and an ext4 on a loop device that grows."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, InvalidState, NotFound, Unimplemented
from kata_agent.linux.prctl import CAP_SYS_RESOURCE, has_capability
from kata_agent.machine.volume import resize_volume, volume_stats
from kata_agent.system_paths import SystemPaths
from kata_protos.csi_pb2 import VolumeUsage
from tests.helpers.namespace import require_root, run_in_namespaces

LOOP_SET_FD, LOOP_CLR_FD, LOOP_SET_CAPACITY = 0x4C00, 0x4C01, 0x4C07
LOOP_CTL_GET_FREE = 0x4C82
MIB = 1 << 20


async def test_statistics(tmp_path: Path) -> None:
    stats = await volume_stats(SystemPaths(), str(tmp_path))
    by_unit = {usage.unit: usage for usage in stats.usage}
    assert set(by_unit) == {VolumeUsage.BYTES, VolumeUsage.INODES}
    space = os.statvfs(tmp_path)
    assert by_unit[VolumeUsage.BYTES].total == space.f_blocks * space.f_frsize
    for usage in stats.usage:
        assert usage.used + usage.available == usage.total
    assert not stats.volume_condition.abnormal
    assert stats.volume_condition.message == "OK"


async def test_a_volume_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="volume '/nowhere': not found"):
        await volume_stats(SystemPaths(), "/nowhere")


@pytest.mark.parametrize("path", ["", "relative", "/dev/null"])
async def test_what_is_no_volume(path: str) -> None:
    with pytest.raises(InvalidArgument, match=f"volume '{path}': not a"):
        await volume_stats(SystemPaths(), path)


async def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(InvalidArgument, match="not a mounted file system"):
        await volume_stats(SystemPaths(), str(tmp_path / "f"))


async def test_no_size(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no size"):
        await resize_volume(SystemPaths(), str(tmp_path), 0)


async def test_a_file_system_that_cannot_grow() -> None:
    with pytest.raises(Unimplemented, match="volume '/proc': cannot grow proc"):
        await resize_volume(SystemPaths(), "/proc", MIB)


def lack(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@contextlib.contextmanager
def loop_device(image: Path) -> Iterator[tuple[int, str]]:
    """A loop device of `image`, freed at the end."""
    control = os.open("/dev/loop-control", os.O_RDWR)
    file = os.open(image, os.O_RDWR)
    name = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
    device = os.open(name, os.O_RDWR)
    fcntl.ioctl(device, LOOP_SET_FD, file)
    try:
        yield device, name
    finally:
        # Takes effect when the last user, a mount for one, has gone.
        fcntl.ioctl(device, LOOP_CLR_FD)
        for fd in (device, file, control):
            os.close(fd)


def mount_ext4(device: str, target: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.mount(device.encode(), os.fsencode(target), b"ext4", 0, None)
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@pytest.mark.root
def test_an_ext4_grows_with_its_disk(tmp_path: Path) -> None:
    require_root()
    if not has_capability(CAP_SYS_RESOURCE):
        # ext4 asks for it (fs/ext4/resize.c, ext4_resize_begin), and not even root
        # of every CI machine has it: the kernel decides, not what is installed.
        pytest.skip("needs CAP_SYS_RESOURCE")
    if not Path("/dev/loop-control").exists():
        lack("needs loop devices")
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "1024", image], check=True)
    volume = tmp_path / "volume"
    volume.mkdir()

    async def grow(device: int) -> None:
        paths = SystemPaths()
        before = (await volume_stats(SystemPaths(), str(volume))).usage[0].total
        with pytest.raises(InvalidState, match="its disk has only 8388608 bytes"):
            await resize_volume(paths, str(volume), 16 * MIB)
        os.truncate(image, 16 * MIB)
        fcntl.ioctl(device, LOOP_SET_CAPACITY)
        await resize_volume(paths, str(volume), 16 * MIB)
        after = (await volume_stats(SystemPaths(), str(volume))).usage[0].total
        assert after >= before + 7 * MIB
        # Again is no error, smaller is.
        await resize_volume(paths, str(volume), 16 * MIB)
        with pytest.raises(OSError, match="Invalid argument"):
            await resize_volume(paths, str(volume), 8 * MIB)

    def body() -> None:
        with loop_device(image) as (device, name):
            mount_ext4(name, volume)
            asyncio.run(grow(device))
            ctypes.CDLL(None).umount2(os.fsencode(volume), 0)

    run_in_namespaces("v2", body)
