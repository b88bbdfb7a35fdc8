# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage import local
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from tests.helpers.drivers import open_context
from tests.helpers.namespace import World, in_namespaces


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    return SystemPaths(run=tmp_path)


def request(paths: SystemPaths, *options: str) -> Storage:
    return Storage(mount_point=f"{paths.sandbox}/volume", options=options)


@pytest.mark.parametrize(
    ("options", "mode"),
    [([], 0o777), (["mode=0700"], 0o700), (["mode=1777", "rw"], 0o1777)],
)
@in_namespaces("v2")
async def test_the_directory_has_exactly_its_mode(
    world: World, paths: SystemPaths, options: list[str], mode: int
) -> None:
    volume = paths.sandbox / "volume"
    umask = os.umask(0o077)
    try:
        async with open_context(paths) as context:
            await local.add(request(paths, *options), context)
            assert stat.S_IMODE(volume.stat().st_mode) == mode
    finally:
        os.umask(umask)
    assert not volume.exists()


@in_namespaces("v2")
async def test_the_directory_goes_with_all_its_files(
    world: World, paths: SystemPaths
) -> None:
    async with open_context(paths) as context:
        await local.add(request(paths), context)
        (paths.sandbox / "volume/deep/er").mkdir(parents=True)
        (paths.sandbox / "volume/deep/file").touch()
    assert list(paths.sandbox.iterdir()) == []


@in_namespaces("v2")
async def test_new_files_get_the_group(world: World, paths: SystemPaths) -> None:
    group = os.getgid()
    async with open_context(paths) as context:
        await local.add(request(paths, f"fsgid={group}"), context)
        status = (paths.sandbox / "volume").stat()
        assert status.st_gid == group
        assert status.st_mode & stat.S_ISGID


@pytest.mark.parametrize("option", ["mode=", "mode=8", "mode=u+x", "mode=777777"])
async def test_a_mode_is_octal(paths: SystemPaths, option: str) -> None:
    async with open_context(paths) as context:
        with pytest.raises(InvalidArgument, match="'mode=.*': not an octal mode"):
            await local.add(request(paths, option), context)
