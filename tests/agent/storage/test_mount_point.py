# SPDX-License-Identifier: Apache-2.0
"""Mount points: every way out of the sandbox's directories that is shut."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevent import Uevents
from kata_agent.errors import AgentError, InvalidArgument, NotFound
from kata_agent.linux.mount import read_mounts
from kata_agent.reaper import Reaper
from kata_agent.storage.mount_point import (
    make_place,
    open_source,
    place_of,
    remove_tree,
)
from kata_agent.storage.storages import Storages, check
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import FSGroup, Storage
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.race import swapping

SANDBOX = Path("/run/kata-containers")
OUTSIDE = Path("/run/outside")
LEADS_OUT = f"leads out of {SANDBOX}"


@contextlib.asynccontextmanager
async def open_storages() -> AsyncIterator[Storages]:
    """Storages in `/run`, and a directory beside them that nobody may touch."""
    paths = SystemPaths()
    SANDBOX.mkdir()
    (OUTSIDE / "inner").mkdir(parents=True)
    (OUTSIDE / "secret").write_text("secret")
    (OUTSIDE / "secret").chmod(0o600)
    with Reaper() as reaper:
        uevents = Uevents(paths)
        yield Storages(Hotplug(paths, uevents, 3), reaper)
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
    return [mount.point for mount in read_mounts(Path("/proc/self/mountinfo"))]


def memory(path: str | Path, **fields: object) -> Storage:
    """A tmpfs."""
    return Storage(
        driver="ephemeral",
        source="tmpfs",
        fstype="tmpfs",
        mount_point=str(path),
        **fields,  # type: ignore[arg-type]
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
def test_a_path_that_is_elsewhere(path: str, make: Callable[[str], Storage]) -> None:
    with pytest.raises(InvalidArgument, match="not below /run/kata-containers"):
        check(SystemPaths(), make(path))


@pytest.mark.parametrize("target", ["/run/outside", "../outside", "/proc/1/root/run"])
@pytest.mark.parametrize("path", ["link", "link/inner", "link/new", "link/new/deeper"])
@in_namespaces("v2")
async def test_a_symlink_in_the_way(world: World, target: str, path: str) -> None:
    async with open_storages() as storages:
        (SANDBOX / "link").symlink_to(target)
        before = mount_points()
        for make in (memory, local):
            with pytest.raises(InvalidArgument, match=LEADS_OUT):
                await storages.add([make(SANDBOX / path)], "c1")
        assert mount_points() == before


@in_namespaces("v2")
async def test_a_magic_link(world: World) -> None:
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
async def test_one_that_stays_inside_is_followed_and_undone(world: World) -> None:
    async with open_storages() as storages:
        (SANDBOX / "v1").mkdir()
        (SANDBOX / "current").symlink_to("v1")
        await storages.add([memory(SANDBOX / "current/volume")], None)
        assert f"{SANDBOX}/v1/volume" in mount_points()
        await storages.remove_all()
        assert f"{SANDBOX}/v1/volume" not in mount_points()


@in_namespaces("v2")
async def test_what_is_no_directory_is_not_mounted_on(world: World) -> None:
    async with open_storages() as storages:
        os.mkfifo(SANDBOX / "fifo")
        os.mknod(SANDBOX / "device", stat.S_IFBLK | 0o600, os.makedev(7, 255))
        (SANDBOX / "file").touch()
        for name in ("fifo", "device", "file"):
            with pytest.raises((OSError, AgentError)):
                await storages.add([memory(SANDBOX / name)], "c1")
        assert not [p for p in mount_points() if p.startswith(str(SANDBOX))]


@in_namespaces("v2")
async def test_a_bind_s_source_and_target_are_confined(world: World) -> None:
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
    """CVE-2020-28914, and no device or set-id program comes to life on it."""
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


@pytest.mark.parametrize("what", ["gone", "a file", "a symlink out"])
@in_namespaces("v2")
async def test_a_place_that_was_taken_away_hinders_no_removal(
    world: World, what: str
) -> None:
    async with open_storages() as storages:
        parent = SANDBOX / "place"
        await storages.add([memory(parent / "a/volume"), local(parent / "b/c")], "c1")
        parent.rename(SANDBOX / "hidden")
        if what == "a file":
            parent.touch()
        elif what == "a symlink out":
            parent.symlink_to(OUTSIDE)
        await storages.remove_for("c1")
        await storages.remove_all()


async def race(
    act: Callable[[], Awaitable[None]], directory: Path, target: str | Path
) -> None:
    """Do `act` while a directory and a symlink are swapped, until both were met."""
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
            # A mount would stay if its undo had been led astray.
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
    """End every storage: a container that has taken its place away cannot hinder it."""
    await storages.remove_all()


# --- on a tree, without mounts ---


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    (tmp_path / "run/kata-containers").mkdir(parents=True)
    return SystemPaths(run=tmp_path / "run")


def test_places(paths: SystemPaths) -> None:
    place = place_of(paths, f"{paths.sandbox}//shared/./a/")
    assert (place.root, place.path) == (paths.sandbox, "shared/a")
    assert place.name == "a"


def test_a_rootless_hosts_places(paths: SystemPaths) -> None:
    root = f"{paths.run}/user/1000/run/kata-containers"
    place = place_of(paths, f"{root}/a/b")
    assert (str(place.root), place.path) == (root, "a/b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relative",
        "/etc/passwd",
        "{sandbox}",
        "{sandbox}/",
        "{sandbox}/.",
        "{sandbox}-not/a",
        "{sandbox}/../a",
        "{sandbox}/a/../b",
        "{sandbox}/a\0b",
        "{run}/user/x/run/kata-containers/a",
    ],
)
def test_what_is_no_place(paths: SystemPaths, text: str) -> None:
    text = text.format(sandbox=paths.sandbox, run=paths.run)
    with pytest.raises(InvalidArgument, match="not below"):
        place_of(paths, text)


def test_all_that_was_made_is_undone(paths: SystemPaths) -> None:
    (paths.sandbox / "there").mkdir()
    with ExitStack() as undo:
        for name in ("there/a/b", "there/a/b/c", "x/y"):
            os.close(make_place(place_of(paths, f"{paths.sandbox}/{name}"), undo))
        file = place_of(paths, f"{paths.sandbox}/f/g/file")
        os.close(make_place(file, undo, directory=False))
        assert (paths.sandbox / "f/g/file").is_file()
        assert (paths.sandbox / "there/a/b/c").is_dir()
    assert list(paths.sandbox.rglob("*")) == [paths.sandbox / "there"]


def test_what_somebody_put_in_stays(paths: SystemPaths) -> None:
    with ExitStack() as undo:
        os.close(make_place(place_of(paths, f"{paths.sandbox}/a/b"), undo))
        (paths.sandbox / "a/b/file").touch()
    assert (paths.sandbox / "a/b/file").exists()


def test_a_directory_that_is_gone_does_not_keep_those_around_it(
    paths: SystemPaths,
) -> None:
    place = place_of(paths, f"{paths.sandbox}/c1/upper")
    with ExitStack() as undo:
        os.close(make_place(place, undo))
        undo.callback(remove_tree, place)
    assert list(paths.sandbox.iterdir()) == []


def test_a_link_out_of_the_sandbox(paths: SystemPaths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (paths.sandbox / "link").symlink_to(outside)
    (paths.sandbox / "up").symlink_to("../..")
    for name in ("link/a", "link", "up/outside/a"):
        place = place_of(paths, f"{paths.sandbox}/{name}")
        with ExitStack() as undo, pytest.raises(InvalidArgument, match="leads out of"):
            make_place(place, undo)
    assert list(outside.iterdir()) == []


def test_a_link_inside_is_followed(paths: SystemPaths) -> None:
    (paths.sandbox / "real").mkdir()
    (paths.sandbox / "link").symlink_to("real")
    with ExitStack() as undo:
        os.close(make_place(place_of(paths, f"{paths.sandbox}/link/a"), undo))
        assert (paths.sandbox / "real/a").is_dir()


def test_sources(paths: SystemPaths, tmp_path: Path) -> None:
    (paths.sandbox / "a").mkdir()
    for source in (f"{paths.sandbox}/a", str(tmp_path)):
        os.close(open_source(paths, source))
    (paths.sandbox / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidArgument, match="leads out of"):
        open_source(paths, f"{paths.sandbox}/link")
    with pytest.raises(NotFound, match="source '/nowhere': no such file"):
        open_source(paths, "/nowhere")
    for text in ("", "a", "/a/../b", "/a\0b"):
        with pytest.raises(InvalidArgument, match="not an absolute path"):
            open_source(paths, text)
