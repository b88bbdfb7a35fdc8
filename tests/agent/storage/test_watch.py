# SPDX-License-Identifier: Apache-2.0
"""Watched directories with real mounts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.storage import watch
from kata_agent.storage.mirror import Mirror
from kata_agent.storage.mounts import bind
from kata_agent.storage.storages import Storages
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from tests.helpers.namespace import World, in_namespaces

SHARED = Path("/run/kata-containers/shared/containers")
SOURCE, COPY = SHARED / "config", SHARED / "watchable/config"


def watched(**fields: str) -> Storage:
    """A request for the copy, or with some other fields."""
    storage = Storage(
        driver="watchable-bind",
        source=str(SOURCE),
        mount_point=str(COPY),
        fstype="bind",
    )
    storage.MergeFrom(Storage(**fields))  # type: ignore[arg-type]  # texts only
    return storage


def mounts() -> list[str]:
    """The mount points below the shared directory."""
    return [
        mount.point
        for mount in read_mounts(Path("/proc/self/mountinfo"))
        if mount.point.startswith(str(SHARED))
    ]


class Watched:
    """A source with one file, the storages, and the end of each step of a watch."""

    def __init__(self, storages: Storages, monkeypatch: pytest.MonkeyPatch) -> None:
        self.storages = storages
        self._loop = asyncio.get_running_loop()
        self._stepped = asyncio.Event()
        self._steps = 0
        monkeypatch.setattr(watch, "INTERVAL", 0.001)
        monkeypatch.setattr(Mirror, "update", self._counted(Mirror.update))
        monkeypatch.setattr(watch, "bind", self._counted(bind))
        SOURCE.mkdir(parents=True)
        (SOURCE / "a").write_text("one")

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            try:
                return step(*args)
            finally:
                self._loop.call_soon_threadsafe(self._count)

        return counted

    def _count(self) -> None:
        self._steps += 1
        self._stepped.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the watch has made `condition` true."""
        while not condition():
            self._stepped.clear()
            await self._stepped.wait()

    async def until_copied(self, text: str) -> None:
        await self.until(lambda: (COPY / "a").read_text() == text)

    async def two_steps(self) -> None:
        """Wait for one whole update, from its begin to its end."""
        end = self._steps + 2
        await self.until(lambda: self._steps >= end)


@contextlib.asynccontextmanager
async def open_watched() -> AsyncIterator[Watched]:
    paths = SystemPaths()
    with Reaper() as reaper, pytest.MonkeyPatch.context() as monkeypatch:
        storages = Storages(Hotplug(paths, Uevents(paths), 3), reaper, Reserve())
        yield Watched(storages, monkeypatch)


@in_namespaces("v2")
async def test_changes_follow_until_the_last_container_has_gone(world: World) -> None:
    async with open_watched() as it:
        await it.storages.add([watched()], "c1")
        await it.storages.add([watched()], "c2")
        assert (COPY / "a").read_text() == "one"
        assert mounts() == [str(COPY.parent)]
        (SOURCE / "a").write_text("two!")
        await it.until_copied("two!")
        await it.storages.remove_for("c1")
        # The source may go away and come back.
        (SOURCE / "a").unlink()
        SOURCE.rmdir()
        await it.two_steps()
        SOURCE.mkdir()
        (SOURCE / "a").write_text("three")
        await it.until_copied("three")
        await it.storages.remove_for("c2")
        assert not COPY.exists()
        await it.storages.remove_all()
        assert mounts() == []


@in_namespaces("v2")
async def test_a_container_that_spoils_its_copy_harms_nobody(world: World) -> None:
    async with open_watched() as it:
        (SOURCE / "dir").mkdir()
        await it.storages.add([watched()], "c1")
        (COPY / "dir").rmdir()
        (COPY / "dir").symlink_to("/etc")
        (SOURCE / "dir/passwd").write_text("planted")
        await it.two_steps()
        assert "planted" not in Path("/etc/passwd").read_text()
        (COPY / "dir").unlink()
        (COPY / "dir").mkdir()
        await it.until((COPY / "dir/passwd").exists)
        await it.storages.remove_for("c1")
        assert not COPY.exists()


@in_namespaces("v2")
async def test_a_source_that_grows_too_large_is_bound(world: World) -> None:
    async with open_watched() as it:
        await it.storages.add([watched()], "c1")
        (SOURCE / "large").write_bytes(bytes(2 << 20))
        await it.until(lambda: str(COPY) in mounts())
        assert (COPY / "large").stat().st_size == 2 << 20
        await it.storages.remove_for("c1")
        assert mounts() == [str(COPY.parent)]
        assert not COPY.exists()


@in_namespaces("v2")
async def test_a_source_that_is_too_large_from_the_start_is_bound(world: World) -> None:
    async with open_watched() as it:
        for number in range(20):
            (SOURCE / str(number)).touch()
        await it.storages.add([watched()], "c1")
        assert mounts() == [str(COPY.parent), str(COPY)]
        await it.storages.remove_for("c1")
        assert not COPY.exists()


@in_namespaces("v2")
async def test_a_mount_point_elsewhere_and_a_missing_source_are_refused(
    world: World,
) -> None:
    async with open_watched() as it:
        elsewhere = watched(mount_point=str(SHARED / "elsewhere/config"))
        with pytest.raises(InvalidArgument, match="not in a directory 'watchable'"):
            await it.storages.add([elsewhere], "c1")
        missing = watched(source=str(SHARED / "missing"))
        with pytest.raises(NotFound, match="no such file"):
            await it.storages.add([missing], "c1")
        assert not COPY.exists()
