# SPDX-License-Identifier: Apache-2.0
"""Disks: loop devices with real file systems."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, NotFound, Unimplemented
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.storage.disk import mount_disk
from kata_protos.agent_pb2 import Storage
from tests.helpers.drivers import open_context
from tests.helpers.loop import loop_device, require_loop_devices
from tests.helpers.namespace import require_root, run_in_namespaces

MIB = 1 << 20
POINT = Path("/run/kata-containers/volume")


def request(*driver_options: str, fstype: str = "ext4") -> Storage:
    return Storage(
        mount_point=str(POINT),
        fstype=fstype,
        options=["nosuid"],
        driver_options=driver_options,
    )


def with_disk(image: Path, test: Callable[[str], Awaitable[None]]) -> None:
    """Run `test` with the path of an empty disk of 16 MiB, in namespaces."""
    require_root()
    require_loop_devices()

    async def run(name: str) -> None:
        await test(name)

    def body() -> None:
        with loop_device(image, 16 * MIB) as (_, name):
            asyncio.run(run(name))

    run_in_namespaces("v2", body)


@pytest.mark.root
def test_a_new_file_system_is_made_and_mounted(tmp_path: Path) -> None:
    async def test(name: str) -> None:
        async with open_context() as context:
            await mount_disk(request("create_filesystem"), context, Path(name))
            mount = next(
                m
                for m in read_mounts(Path("/proc/self/mountinfo"))
                if m.point == str(POINT)
            )
            assert (mount.fstype, mount.source) == ("ext4", name)
            assert os.statvfs(POINT).f_flag & os.ST_NOSUID
            (POINT / "file").write_text("text")
        assert not POINT.exists()

    with_disk(tmp_path / "disk", test)


@pytest.mark.root
def test_a_file_system_that_is_there_keeps_its_files(tmp_path: Path) -> None:
    async def test(name: str) -> None:
        subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "old", name], check=True)
        async with open_context() as context:
            no = "create_filesystem=false"
            await mount_disk(request(no), context, Path(name))
            (POINT / "file").write_text("text")
        async with open_context() as context:
            await mount_disk(request(), context, Path(name))
            assert (POINT / "file").read_text() == "text"

    with_disk(tmp_path / "disk", test)


@pytest.mark.root
def test_a_disk_without_a_file_system_is_named(tmp_path: Path) -> None:
    async def test(name: str) -> None:
        async with open_context() as context:
            with pytest.raises(OSError, match=f"mounting ext4 '{name}'"):
                await mount_disk(request(), context, Path(name))
        assert not POINT.exists()

    with_disk(tmp_path / "disk", test)


@pytest.mark.root
def test_requests_that_are_not_supported_are_refused(tmp_path: Path) -> None:
    async def test(name: str) -> None:
        async with open_context() as context:
            with pytest.raises(Unimplemented, match="encrypted disks"):
                await mount_disk(request("encryption_key=x"), context, Path(name))
            storage = request("create_filesystem=true", fstype="xfs")
            with pytest.raises(InvalidArgument, match="file system 'xfs', only 'ext4'"):
                await mount_disk(storage, context, Path(name))

    with_disk(tmp_path / "disk", test)


async def test_a_node_that_is_no_disk_is_refused(tmp_path: Path) -> None:
    async with open_context() as context:
        with pytest.raises(NotFound, match="none: no such node"):
            await mount_disk(request(), context, tmp_path / "none")
        with pytest.raises(InvalidArgument, match="/dev/null: not a block device"):
            await mount_disk(request(), context, Path("/dev/null"))
