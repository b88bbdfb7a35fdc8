# SPDX-License-Identifier: Apache-2.0
"""Volumes: their use, and the growth of an ext4 on a loop device."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, InvalidState, NotFound, Unimplemented
from kata_agent.linux.prctl import CAP_SYS_RESOURCE, has_capability
from kata_agent.machine.volume import resize_volume, volume_stats
from kata_agent.system_paths import SystemPaths
from kata_protos.csi_pb2 import VolumeUsage
from tests.helpers.loop import LOOP_SET_CAPACITY, loop_device, require_loop_devices
from tests.helpers.namespace import require_root, run_in_namespaces

MIB = 1 << 20


async def test_total_used_and_available_space_are_told(tmp_path: Path) -> None:
    stats = await volume_stats(SystemPaths(), str(tmp_path))
    by_unit = {usage.unit: usage for usage in stats.usage}
    assert set(by_unit) == {VolumeUsage.BYTES, VolumeUsage.INODES}
    space = os.statvfs(tmp_path)
    assert by_unit[VolumeUsage.BYTES].total == space.f_blocks * space.f_frsize
    for usage in stats.usage:
        assert usage.used + usage.available == usage.total
    assert not stats.volume_condition.abnormal
    assert stats.volume_condition.message == "OK"


async def test_a_missing_volume_is_named() -> None:
    with pytest.raises(NotFound, match="volume '/nowhere': not found"):
        await volume_stats(SystemPaths(), "/nowhere")


@pytest.mark.parametrize("path", ["", "relative", "/dev/null"])
async def test_a_path_that_is_no_volume_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match=f"volume '{path}': not a"):
        await volume_stats(SystemPaths(), path)


async def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(InvalidArgument, match="not a mounted file system"):
        await volume_stats(SystemPaths(), str(tmp_path / "f"))


async def test_a_size_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no size"):
        await resize_volume(SystemPaths(), str(tmp_path), 0)


async def test_a_file_system_that_cannot_grow_is_named() -> None:
    with pytest.raises(Unimplemented, match="volume '/proc': cannot grow proc"):
        await resize_volume(SystemPaths(), "/proc", MIB)


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
        # ext4 needs it (kernel, fs/ext4/resize.c, ext4_resize_begin), and root does not
        # have it on every CI machine, so this is no failure of the installation.
        pytest.skip("needs CAP_SYS_RESOURCE")
    require_loop_devices()
    image = tmp_path / "disk"
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
        # The same size again is no error, a smaller one is.
        await resize_volume(paths, str(volume), 16 * MIB)
        with pytest.raises(OSError, match="Invalid argument"):
            await resize_volume(paths, str(volume), 8 * MIB)

    def body() -> None:
        with loop_device(image, 8 * MIB) as (device, name):
            subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "1024", name], check=True)
            mount_ext4(name, volume)
            asyncio.run(grow(device))
            ctypes.CDLL(None).umount2(os.fsencode(volume), 0)

    run_in_namespaces("v2", body)
