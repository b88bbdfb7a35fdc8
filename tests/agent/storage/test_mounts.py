# SPDX-License-Identifier: Apache-2.0
"""Mounts: no path and no symlink leads one out of the sandbox's directories."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.errors import AgentError, InvalidArgument, Unimplemented
from kata_agent.linux.mount_options import MountOptions, parse_options
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.storage.mount_point import (
    parse_mount_point,
)
from kata_agent.storage.mounts import bind, mount_file_system, remount, unmount
from kata_agent.storage.storages import Storages, check
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import FSGroup, Storage
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.race import swapping

SANDBOX = Path("/run/kata-containers")
OUTSIDE = Path("/run/outside")
MOUNTINFO = Path("/proc/self/mountinfo")
LEADS_OUT = f"leads out of {SANDBOX}"


@contextlib.asynccontextmanager
async def open_storages() -> AsyncIterator[Storages]:
    """Storages in `/run`, and a directory beside them that must not be touched."""
    paths = SystemPaths()
    SANDBOX.mkdir()
    (OUTSIDE / "inner").mkdir(parents=True)
    (OUTSIDE / "secret").write_text("secret")
    (OUTSIDE / "secret").chmod(0o600)
    with Reaper() as reaper:
        uevents = Uevents(paths)
        yield Storages(Hotplug(paths, uevents, 3), reaper, Reserve())
        uevents.close()
    assert outside_is_untouched()


def outside_is_untouched() -> bool:
    secret = (OUTSIDE / "secret").stat()
    return (
        sorted(os.listdir(OUTSIDE)) == ["inner", "secret"]
        and os.listdir(OUTSIDE / "inner") == []
        and (OUTSIDE / "secret").read_text() == "secret"
        and (stat.S_IMODE(secret.st_mode), secret.st_gid) == (0o600, 0)
        and not [point for point in mount_points() if point.startswith(str(OUTSIDE))]
    )


def mount_points() -> list[str]:
    return [mount.point for mount in read_mounts(MOUNTINFO)]


def memory(path: str | Path, **fields: object) -> Storage:
    """A tmpfs."""
    return Storage(
        driver="ephemeral",
        source="tmpfs",
        fstype="tmpfs",
        mount_point=str(path),
        **fields,  # type: ignore[arg-type]  # any field of Storage
    )


def local(path: str | Path) -> Storage:
    return Storage(driver="local", source="local", mount_point=str(path))


def bound(source: str | Path, path: str | Path, *options: str) -> Storage:
    return Storage(
        driver="bind",
        source=str(source),
        fstype="bind",
        mount_point=str(path),
        options=options,
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc/hosts",
        "/dev/shm",
        "/proc/self/root/run/kata-containers/x",
        "/run",
        "/run/kata-containers",
        "/run/kata-containers/",
        "/run/kata-containersx/y",
        "/run/kata-containers/../outside",
        "/run/kata-containers/a/../../outside",
        "/run/kata-containers/a\0b",
        "/run/user/0/../kata-containers/x",
        "/run/user/me/run/kata-containers/x",
        "run/kata-containers/x",
        "x",
    ],
)
@pytest.mark.parametrize("make", [memory, local])
def test_a_path_that_is_elsewhere_is_refused(
    path: str, make: Callable[[str], Storage]
) -> None:
    with pytest.raises(InvalidArgument, match="not below /run/kata-containers"):
        check(SystemPaths(), make(path))


@pytest.mark.parametrize("target", ["/run/outside", "../outside", "/proc/1/root/run"])
@pytest.mark.parametrize("path", ["link", "link/inner", "link/new", "link/new/deeper"])
@in_namespaces("v2")
async def test_a_symlink_in_the_way_is_refused(
    world: World, target: str, path: str
) -> None:
    async with open_storages() as storages:
        (SANDBOX / "link").symlink_to(target)
        before = mount_points()
        for make in (memory, local):
            with pytest.raises(InvalidArgument, match=LEADS_OUT):
                await storages.add([make(SANDBOX / path)], "c1")
        assert mount_points() == before


@in_namespaces("v2")
async def test_a_magic_link_is_refused(world: World) -> None:
    async with open_storages() as storages:
        directory = os.open(OUTSIDE, os.O_RDONLY)
        for number, target in enumerate(
            (f"/proc/self/fd/{directory}", "/proc/self/root", "/proc/self/cwd")
        ):
            link = SANDBOX / f"link{number}"
            link.symlink_to(target)
            with pytest.raises(InvalidArgument, match=LEADS_OUT):
                await storages.add([memory(link / "inner")], "c1")
        os.close(directory)


@in_namespaces("v2")
async def test_a_dangling_symlink_makes_nothing(world: World) -> None:
    async with open_storages() as storages:
        (SANDBOX / "link").symlink_to(OUTSIDE / "new")
        for path in ("link", "link/new"):
            with pytest.raises(InvalidArgument, match=LEADS_OUT):
                await storages.add([memory(SANDBOX / path)], "c1")


@in_namespaces("v2")
async def test_a_symlink_that_stays_inside_is_followed_and_undone(world: World) -> None:
    async with open_storages() as storages:
        (SANDBOX / "shared/v1").mkdir(parents=True)
        (SANDBOX / "shared/current").symlink_to("v1")
        await storages.add([memory(SANDBOX / "shared/current/volume")], None)
        assert f"{SANDBOX}/shared/v1/volume" in mount_points()
        await storages.remove_all()
        assert f"{SANDBOX}/shared/v1/volume" not in mount_points()


@in_namespaces("v2")
async def test_only_a_directory_is_mounted_on(world: World) -> None:
    async with open_storages() as storages:
        os.mkfifo(SANDBOX / "fifo")
        os.mknod(SANDBOX / "device", stat.S_IFBLK | 0o600, os.makedev(7, 255))
        (SANDBOX / "file").touch()
        for name in ("fifo", "device", "file"):
            with pytest.raises((OSError, AgentError)):
                await storages.add([memory(SANDBOX / name)], "c1")
        assert not [p for p in mount_points() if p.startswith(str(SANDBOX))]


@in_namespaces("v2")
async def test_source_and_target_of_a_bind_are_confined(world: World) -> None:
    async with open_storages() as storages:
        (SANDBOX / "share").mkdir()
        (SANDBOX / "share/link").symlink_to(OUTSIDE)
        (SANDBOX / "share/file").touch()
        (SANDBOX / "share/secret").symlink_to(OUTSIDE / "secret")
        for storage in (
            bound(SANDBOX / "share/link", SANDBOX / "volume"),
            bound(SANDBOX / "share/link/secret", SANDBOX / "volume"),
            bound(SANDBOX / "share/file", SANDBOX / "share/secret"),
            bound("/run/../run/outside", SANDBOX / "volume"),
            bound("run/outside", SANDBOX / "volume"),
        ):
            with pytest.raises(InvalidArgument):
                await storages.add([storage], "c1")
        assert not [p for p in mount_points() if p.startswith(str(SANDBOX))]


@in_namespaces("v2")
async def test_a_read_only_volume_is_read_only_in_the_guest_too(world: World) -> None:
    """CVE-2020-28914; its devices and set-ID programs do not work either."""
    async with open_storages() as storages:
        source = SANDBOX / "share"
        source.mkdir()
        volume = SANDBOX / "volume"
        await storages.add(
            [bound(source, volume, "bind", "ro", "nosuid", "nodev", "noexec")], None
        )
        flags = os.statvfs(volume).f_flag
        for flag in (os.ST_RDONLY, os.ST_NOSUID, os.ST_NODEV, os.ST_NOEXEC):
            assert flags & flag
        with pytest.raises(OSError, match="Read-only"):
            (volume / "new").touch()
        await storages.remove_all()


@in_namespaces("v2")
async def test_a_group_gets_no_file_that_a_symlink_names(world: World) -> None:
    async with open_storages() as storages:
        source = SANDBOX / "share"
        source.mkdir()
        (source / "link").symlink_to(OUTSIDE / "secret")
        (source / "directory").symlink_to(OUTSIDE)
        (source / "file").touch()
        storage = bound(source, SANDBOX / "volume")
        storage.fs_group.CopyFrom(FSGroup(group_id=4242))
        await storages.add([storage], None)
        assert (source / "file").stat().st_gid == 4242
        await storages.remove_all()


@in_namespaces("v2")
async def test_a_group_while_a_file_and_a_symlink_are_swapped(world: World) -> None:
    async with open_storages() as storages:
        source = SANDBOX / "share"
        for name in ("inner", "file"):
            (source / name).mkdir(parents=True)
        (source / "link").symlink_to(OUTSIDE)
        (source / "secret").symlink_to(OUTSIDE / "secret")
        with swapping(source / "inner", source / "link") as swaps:
            while swaps.count < 1000:
                storage = bound(source, SANDBOX / "volume")
                storage.fs_group.CopyFrom(FSGroup(group_id=4242))
                await storages.add([storage], None)
                await storages.remove_all()


@pytest.mark.parametrize("now", ["gone", "a file", "a symlink out"])
@in_namespaces("v2")
async def test_a_mount_point_that_was_taken_away_hinders_no_removal(
    world: World, now: str
) -> None:
    async with open_storages() as storages:
        parent = SANDBOX / "place"
        await storages.add([memory(parent / "a/volume"), local(parent / "b/c")], "c1")
        parent.rename(SANDBOX / "hidden")
        if now == "a file":
            parent.touch()
        elif now == "a symlink out":
            parent.symlink_to(OUTSIDE)
        await storages.remove_for("c1")
        await storages.remove_all()


async def race(
    act: Callable[[], Awaitable[None]], directory: Path, target: str | Path
) -> None:
    """Repeat `act` while a directory and a symlink are swapped, until it met both."""
    directory.mkdir()
    link = directory.with_name("link")
    link.symlink_to(target)
    done = refused = 0
    with swapping(directory, link) as swaps:
        while done < 20 or refused < 20 or swaps.count < 500:
            try:
                await act()
                done += 1
            except InvalidArgument:
                refused += 1
            # If the undo followed the symlink, a mount would stay.
            assert not [p for p in mount_points() if p.startswith(str(OUTSIDE))]


@in_namespaces("v2")
async def test_a_parent_that_is_swapped_while_memory_is_mounted(world: World) -> None:
    async with open_storages() as storages:

        async def act() -> None:
            await storages.add([memory(SANDBOX / "place/volume")], "c1")
            await release(storages)

        await race(act, SANDBOX / "place", OUTSIDE)


@in_namespaces("v2")
async def test_a_parent_that_is_swapped_while_a_directory_is_made(world: World) -> None:
    async with open_storages() as storages:

        async def act() -> None:
            await storages.add([local(SANDBOX / "place/a/b/c")], "c1")
            await release(storages)

        await race(act, SANDBOX / "place", "../outside")


@in_namespaces("v2")
async def test_a_source_that_is_swapped_while_it_is_bound(world: World) -> None:
    async with open_storages() as storages:
        volume = SANDBOX / "volume"

        async def act() -> None:
            await storages.add([bound(SANDBOX / "place", volume)], "c1")
            assert not (volume / "secret").exists()
            await release(storages)

        await race(act, SANDBOX / "place", OUTSIDE)


async def release(storages: Storages) -> None:
    """Release all: a container that has moved the mount point away cannot hinder it."""
    await storages.remove_all()


# --- the functions themselves ---


@in_namespaces("v2")
async def test_a_file_system_is_mounted_until_the_undo(world: World) -> None:
    point = parse_mount_point(SystemPaths(), f"{SANDBOX}/a/b")
    undo = Undo()
    mount_file_system(undo, point, "none", "tmpfs", parse_options(["size=64k", "ro"]))
    mount = next(m for m in read_mounts(MOUNTINFO) if m.point == str(point))
    assert mount.fstype == "tmpfs"
    assert os.statvfs(str(point)).f_flag & os.ST_RDONLY
    undo.close()
    assert str(point) not in mount_points()
    assert list(SANDBOX.iterdir()) == []


def is_shared(point: object) -> bool:
    lines = MOUNTINFO.read_text().splitlines()
    return "shared:" in next(line for line in lines if f" {point} " in line)


@pytest.mark.parametrize("option", ["ro", "rshared", "rprivate", "rslave", "rbind,rw"])
@in_namespaces("v2")
async def test_every_mount_is_shared(world: World, option: str) -> None:
    """Containers ask for propagation, whatever the storage's own options are."""
    paths = SystemPaths()
    source = Path("/run/source")
    source.mkdir()
    options = parse_options([option])
    volume = parse_mount_point(paths, f"{SANDBOX}/volume")
    bound = parse_mount_point(paths, f"{SANDBOX}/bound")
    with closing(Undo()) as undo:
        mount_file_system(undo, volume, "none", "tmpfs", options)
        assert is_shared(volume)
        bind(undo, paths, bound, str(source), options)
        assert is_shared(bound)


@in_namespaces("v2")
async def test_a_failed_mount_is_named_and_leaves_nothing(world: World) -> None:
    point = parse_mount_point(SystemPaths(), f"{SANDBOX}/a/b")
    undo = Undo()
    with pytest.raises(Unimplemented, match="kernel has no file system 'nonesuch'"):
        mount_file_system(undo, point, "none", "nonesuch", MountOptions())
    with pytest.raises(OSError, match="mounting tmpfs 'none'.*bogus=1.*/a/b'"):
        mount_file_system(undo, point, "none", "tmpfs", parse_options(["bogus=1"]))
    undo.close()
    assert list(SANDBOX.iterdir()) == []


@in_namespaces("v2")
async def test_a_file_is_bound_to_a_file(world: World) -> None:
    paths = SystemPaths()
    source = Path("/run/source")
    source.write_text("text")
    point = parse_mount_point(paths, f"{SANDBOX}/a/file")
    undo = Undo()
    bind(undo, paths, point, str(source), parse_options(["ro"]))
    assert (SANDBOX / "a/file").read_text() == "text"
    with pytest.raises(OSError, match="Read-only"):
        (SANDBOX / "a/file").write_text("other")
    undo.close()
    assert list(SANDBOX.iterdir()) == []


@in_namespaces("v2")
async def test_a_remount_changes_the_options(world: World) -> None:
    point = parse_mount_point(SystemPaths(), f"{SANDBOX}/a")
    with closing(Undo()) as undo:
        mount_file_system(undo, point, "none", "tmpfs", parse_options(["size=64k"]))
        before = os.statvfs(str(point)).f_blocks
        remount(point, parse_options(["remount", "size=128k"]))
        assert os.statvfs(str(point)).f_blocks == 2 * before


@in_namespaces("v2")
async def test_a_mount_in_use_is_detached(world: World) -> None:
    point = parse_mount_point(SystemPaths(), f"{SANDBOX}/a")
    undo = Undo()
    mount_file_system(undo, point, "none", "tmpfs", MountOptions())
    with open(f"{point}/file", "w") as file:
        undo.close()
        assert str(point) not in mount_points()
        # The process that has it open can still use it.
        file.write("text")
    # A second unmount is no error.
    SANDBOX.mkdir(exist_ok=True)
    unmount(point)
