# SPDX-License-Identifier: Apache-2.0
"""Storages as a whole: checks, users, and the order of the undoing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.handlers import HANDLERS, StorageHandler
from kata_agent.storage.storages import Storages, check
from kata_protos.agent_pb2 import Storage
from tests.helpers.sysfs import Sysfs


class Driver:
    """A driver that logs each storage that it adds or undoes: `+name`, `-name`."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.failing = ""
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def __call__(self, storage: Storage, context: DriverContext) -> None:
        name = Path(storage.mount_point).name
        self.entered.set()
        await self.gate.wait()
        if name == self.failing:
            raise Internal(f"{name} is broken")
        self.log.append(f"+{name}")
        context.cleanup.callback(self._remove, name)

    async def _remove(self, name: str) -> None:
        self.log.append(f"-{name}")


@pytest.fixture
async def storages(sysfs: Sysfs) -> AsyncIterator[Storages]:
    with Reaper() as reaper:
        yield Storages(sysfs.hotplug(), reaper, Reserve())


@pytest.fixture
async def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    for name in ("fake", "ephemeral"):
        handler = StorageHandler(driver, is_lasting=name == "ephemeral")
        monkeypatch.setitem(HANDLERS, name, handler)
    return driver


def make(
    sysfs: Sysfs, *names: str, driver: str = "fake", shared: bool = False
) -> list[Storage]:
    return [
        Storage(
            driver=driver,
            source="source",
            fstype="fs",
            mount_point=f"{sysfs.paths.sandbox}/{name}",
            shared=shared,
        )
        for name in names
    ]


async def test_the_storage_that_was_added_last_is_removed_first(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    points = await storages.add(make(sysfs, "a", "b"), "c1")
    assert [Path(point).name for point in points] == ["a", "b"]
    await storages.remove_for("c1")
    assert driver.log == ["+a", "+b", "-b", "-a"]
    await storages.remove_for("c1")
    assert len(driver.log) == 4


async def test_the_last_user_removes(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    await storages.add(make(sysfs, "a"), "c1")
    # In any spelling, and any number of times.
    same = make(sysfs, "./a/", "a")
    await storages.add(same, "c2")
    await storages.remove_for("c1")
    assert driver.log == ["+a"]
    await storages.remove_for("c2")
    assert driver.log == ["+a", "-a"]
    await storages.add(make(sysfs, "a"), "c3")
    assert driver.log == ["+a", "-a", "+a"]


@pytest.mark.parametrize(
    ("kind", "shared"), [("ephemeral", False), ("fake", True)], ids=["driver", "flag"]
)
async def test_lasting_storages_stay_until_the_sandbox_ends(
    sysfs: Sysfs, storages: Storages, driver: Driver, kind: str, shared: bool
) -> None:
    await storages.add(make(sysfs, "a", driver=kind, shared=shared), "c1")
    await storages.remove_for("c1")
    await storages.add(make(sysfs, "a", driver=kind, shared=shared), "c2")
    await storages.add(make(sysfs, "b"), None)
    assert driver.log == ["+a", "+b"]
    await storages.remove_all()
    assert driver.log == ["+a", "+b", "-b", "-a"]


async def test_a_failure_undoes_what_the_call_began(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    await storages.add(make(sysfs, "old", driver="ephemeral"), "c1")
    driver.failing = "c"
    with pytest.raises(Internal, match="c is broken"):
        await storages.add(
            [
                *make(sysfs, "old", driver="ephemeral"),
                *make(sysfs, "new", driver="ephemeral"),
                *make(sysfs, "b", "c", "d"),
            ],
            "c2",
        )
    assert driver.log == ["+old", "+new", "+b", "-b", "-new"]
    # The same request can be made again.
    driver.failing = ""
    await storages.add(make(sysfs, "c"), "c2")
    assert driver.log[-1] == "+c"


async def test_two_containers_that_add_one_storage_at_once_mount_it_once(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    driver.gate.clear()
    both = [
        asyncio.create_task(storages.add(make(sysfs, "a"), name))
        for name in ("c1", "c2")
    ]
    await driver.entered.wait()
    driver.gate.set()
    await asyncio.gather(*both)
    assert driver.log == ["+a"]


async def test_the_second_of_them_tries_again_if_the_first_fails(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    driver.gate.clear()
    first, second = (
        asyncio.create_task(storages.add(make(sysfs, "a"), name))
        for name in ("c1", "c2")
    )
    await driver.entered.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    driver.gate.set()
    await second
    assert driver.log == ["+a"]
    await storages.remove_for("c2")
    assert driver.log == ["+a", "-a"]


async def test_a_cleanup_that_fails_does_not_stop_the_others(
    sysfs: Sysfs,
    storages: Storages,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail() -> None:
        raise Internal("busy")

    async def stubborn(storage: Storage, context: DriverContext) -> None:
        context.cleanup.callback(fail)

    monkeypatch.setitem(HANDLERS, "stubborn", StorageHandler(stubborn))
    await storages.add(make(sysfs, "a"), "c1")
    await storages.add(make(sysfs, "b", driver="stubborn"), "c1")
    with pytest.raises(Internal, match="busy"):
        await storages.remove_for("c1")
    assert driver.log == ["+a", "-a"]


class Stubborn:
    """A driver whose work is undone by two steps, the first of which may fail."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.is_busy = True
        self.fails_to_add = False

    async def __call__(self, storage: Storage, context: DriverContext) -> None:
        context.cleanup.callback(self._remove_directory)
        self.log.append("+directory")
        context.cleanup.callback(self._unmount)
        self.log.append("+mount")
        if self.fails_to_add:
            raise Internal("no")

    async def _unmount(self) -> None:
        if self.is_busy:
            raise Internal("busy")
        self.log.append("-mount")

    async def _remove_directory(self) -> None:
        self.log.append("-directory")


@pytest.fixture
async def stubborn(monkeypatch: pytest.MonkeyPatch) -> Stubborn:
    stubborn = Stubborn()
    for name in ("stubborn", "ephemeral"):
        handler = StorageHandler(stubborn, is_lasting=name == "ephemeral")
        monkeypatch.setitem(HANDLERS, name, handler)
    return stubborn


MADE = ["+directory", "+mount"]
UNDONE = ["-mount", "-directory"]


@pytest.mark.parametrize("driver", ["stubborn", "ephemeral"])
@pytest.mark.parametrize("fails_to_add", [False, True])
async def test_what_cannot_be_removed_now_is_removed_by_the_next_call(
    sysfs: Sysfs,
    storages: Storages,
    stubborn: Stubborn,
    driver: str,
    fails_to_add: bool,
) -> None:
    stubborn.fails_to_add = fails_to_add
    with contextlib.suppress(Internal):
        await storages.add(make(sysfs, "a", driver=driver), "c1")
    remove = storages.remove_all if not fails_to_add else None
    with pytest.raises(Internal, match="busy"):
        await (remove() if remove else storages.remove_for("c1"))
    assert stubborn.log == MADE
    stubborn.is_busy = False
    await (remove() if remove else storages.remove_for("c1"))
    assert stubborn.log == MADE + UNDONE
    await storages.remove_all()
    assert stubborn.log == MADE + UNDONE


async def test_what_is_left_is_removed_before_the_mount_point_is_used_again(
    sysfs: Sysfs, storages: Storages, stubborn: Stubborn
) -> None:
    await storages.add(make(sysfs, "a", driver="stubborn"), "c1")
    with pytest.raises(Internal, match="busy"):
        await storages.remove_for("c1")
    with pytest.raises(Internal, match="busy"):
        await storages.add(make(sysfs, "a", driver="stubborn"), "c2")
    stubborn.is_busy = False
    await storages.add(make(sysfs, "a", driver="stubborn"), "c2")
    assert stubborn.log == [*MADE, *UNDONE, *MADE]
    await storages.remove_for("c1")
    assert stubborn.log == [*MADE, *UNDONE, *MADE]
    await storages.remove_for("c2")
    assert stubborn.log == [*MADE, *UNDONE, *MADE, *UNDONE]


async def test_only_ephemeral_ones_are_updated(
    sysfs: Sysfs, storages: Storages, driver: Driver
) -> None:
    with pytest.raises(InvalidArgument, match="driver 'fake' is not ephemeral"):
        await storages.update_ephemeral(make(sysfs, "a"))
    await storages.update_ephemeral(make(sysfs, "a", driver="ephemeral"))
    assert driver.log == ["+a"]


def test_a_request_that_cannot_be_carried_out_is_refused(sysfs: Sysfs) -> None:
    point = f"{sysfs.paths.sandbox}/a"
    for storage, error in (
        (Storage(), "storage '': unknown driver ''"),
        (Storage(driver="x", mount_point=point), "unknown driver 'x'"),
        (Storage(driver="blk"), "no mount point"),
        (Storage(driver="blk", mount_point="/etc/a"), "not below"),
        (Storage(driver="blk", mount_point=point), "no file system type"),
        (Storage(driver="blk", mount_point=point, fstype="ext4"), "no source"),
        (Storage(driver="bind", mount_point=point), "no source"),
        (Storage(driver="watchable-bind", mount_point=point), "no source"),
    ):
        with pytest.raises(InvalidArgument, match=error):
            check(sysfs.paths, storage)
    for driver in ("ephemeral", "overlayfs"):
        check(sysfs.paths, Storage(driver=driver, mount_point=point, fstype="x"))
    check(sysfs.paths, Storage(driver="local", mount_point=point))


async def test_a_driver_option_without_effect_is_warned_of_once(
    sysfs: Sysfs,
    storages: Storages,
    driver: Driver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("a", "b"):
        (storage,) = make(sysfs, name)
        storage.driver_options.extend(["key=secret", "key=other", "flag"])
        await storages.add([storage], "c1")
    warned = [vars(record) for record in caplog.records]
    assert [(each["driver"], each["option"]) for each in warned] == [
        ("fake", "key"),
        ("fake", "flag"),
    ]


@pytest.mark.parametrize("driver_name", ["blk", "mmioblk", "nvdimm", "scsi"])
def test_the_options_of_every_disk_driver_are_known(driver_name: str) -> None:
    """The Go runtime sends `create_filesystem` for scratch disks."""
    assert "create_filesystem" in HANDLERS[driver_name].driver_options


async def test_no_storage_is_in_the_bundle_of_another_container(
    storages: Storages, driver: Driver, sysfs: Sysfs
) -> None:
    storages.claim_bundle("c1", "/")
    (inside,) = make(sysfs, "c1/rootfs")
    for user in ("c2", None):
        with pytest.raises(InvalidArgument, match="in the bundle of container 'c1'"):
            await storages.add([inside], user)
    assert driver.log == []
    await storages.add([inside], "c1")
    # The storage that is there already is not shared either.
    with pytest.raises(InvalidArgument, match="in the bundle of container 'c1'"):
        await storages.add([inside], "c2")
    await storages.remove_for("c1")
    await storages.add([inside], "c2")
    with pytest.raises(InvalidArgument, match="'c1': in its bundle is storage"):
        storages.claim_bundle("c1", "/")
