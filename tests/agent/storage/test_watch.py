# SPDX-License-Identifier: Apache-2.0
"""Watched directories with real mounts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.reaper import Reaper
from kata_agent.storage import watch
from kata_agent.storage.storages import Storages
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from tests.helpers.namespace import World, in_namespaces

SHARED = Path("/run/kata-containers/shared/containers")
ORIGINAL, COPY = SHARED / "config", SHARED / "watchable/config"
WATCHED = Storage(
    driver="watchable-bind", source=str(ORIGINAL), mount_point=str(COPY), fstype="bind"
)


def mounts() -> list[str]:
    """The mount points below the shared directory."""
    return [
        mount.point
        for mount in read_mounts(Path("/proc/self/mountinfo"))
        if mount.point.startswith(str(SHARED))
    ]


def storages(reaper: Reaper) -> Storages:
    watch.INTERVAL = 0.01  # type: ignore[misc]
    paths = SystemPaths()
    ORIGINAL.mkdir(parents=True)
    (ORIGINAL / "a").write_text("one")
    return Storages(Hotplug(paths, Uevents(paths), 3), reaper)


async def until_copied(text: str) -> None:
    while (COPY / "a").read_text() != text:
        await asyncio.sleep(0.005)


@in_namespaces("v2")
async def test_changes_follow_until_the_last_container_has_gone(world: World) -> None:
    with Reaper() as reaper:
        added = storages(reaper)
        await added.add([WATCHED], "c1")
        await added.add([WATCHED], "c2")
        assert (COPY / "a").read_text() == "one"
        assert mounts() == [str(COPY.parent)]
        (ORIGINAL / "a").write_text("two!")
        await until_copied("two!")
        await added.remove_for("c1")
        # The source may go away and come back.
        (ORIGINAL / "a").unlink()
        ORIGINAL.rmdir()
        await asyncio.sleep(0.05)
        ORIGINAL.mkdir()
        (ORIGINAL / "a").write_text("three")
        await until_copied("three")
        await added.remove_for("c2")
        assert not COPY.exists()
        await added.remove_all()
        assert mounts() == []


@in_namespaces("v2")
async def test_a_container_that_spoils_its_copy_harms_nobody(world: World) -> None:
    with Reaper() as reaper:
        added = storages(reaper)
        (ORIGINAL / "dir").mkdir()
        await added.add([WATCHED], "c1")
        (COPY / "dir").rmdir()
        (COPY / "dir").symlink_to("/etc")
        (ORIGINAL / "dir/passwd").write_text("planted")
        await asyncio.sleep(0.05)
        assert "planted" not in Path("/etc/passwd").read_text()
        (COPY / "dir").unlink()
        (COPY / "dir").mkdir()
        while not (COPY / "dir/passwd").exists():
            await asyncio.sleep(0.005)
        await added.remove_for("c1")
        assert not COPY.exists()


@in_namespaces("v2")
async def test_what_grows_too_large_is_bound(world: World) -> None:
    with Reaper() as reaper:
        added = storages(reaper)
        await added.add([WATCHED], "c1")
        (ORIGINAL / "large").write_bytes(bytes(2 << 20))
        while str(COPY) not in mounts():
            await asyncio.sleep(0.005)
        assert (COPY / "large").stat().st_size == 2 << 20
        await added.remove_for("c1")
        assert mounts() == [str(COPY.parent)]
        assert not COPY.exists()


@in_namespaces("v2")
async def test_what_is_too_large_from_the_start(world: World) -> None:
    with Reaper() as reaper:
        added = storages(reaper)
        for number in range(20):
            (ORIGINAL / str(number)).touch()
        await added.add([WATCHED], "c1")
        assert mounts() == [str(COPY.parent), str(COPY)]
        await added.remove_for("c1")
        assert not COPY.exists()


@in_namespaces("v2")
async def test_bad_places(world: World) -> None:
    with Reaper() as reaper:
        added = storages(reaper)
        elsewhere = Storage()
        elsewhere.CopyFrom(WATCHED)
        elsewhere.mount_point = str(SHARED / "elsewhere/config")
        with pytest.raises(InvalidArgument, match="not in a directory 'watchable'"):
            await added.add([elsewhere], "c1")
        missing = Storage()
        missing.CopyFrom(WATCHED)
        missing.source = str(SHARED / "missing")
        with pytest.raises(NotFound, match="no such file"):
            await added.add([missing], "c1")
        assert not COPY.exists()
