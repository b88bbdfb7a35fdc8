# SPDX-License-Identifier: Apache-2.0
"""The files of a local guest itself: its root is this host's, and stays as it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_host import Guest
from kata_host import sync as blocking
from kata_host.errors import FileError, GuestEnded, NotFound
from kata_host.sdk.files import Files
from tests.helpers.oci_runtimes import RUNTIMES, local_guest_with

WHY = "Read-only file system: the root of a local guest is this host's; only /run"


@pytest.fixture
async def local(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    monkeypatch.setenv("TMPDIR", str(scratch))
    async with Guest.local() as guest:
        yield guest


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """Make a folder of this host, which must be the same after the test."""
    folder = tmp_path / "host"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("of the host")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("file")
    before = state_of(folder)
    yield folder
    assert state_of(folder) == before


def state_of(folder: Path) -> list[object]:
    return [
        (path, (it := path.lstat()).st_mode, it.st_mtime_ns, it.st_ctime_ns)
        for path in sorted([folder, *folder.rglob("*")])
    ]


async def test_files_of_the_guest_are_written_listed_and_removed(local: Guest) -> None:
    files = local.files
    for top in ("/run", "/dev/shm"):
        path = f"{top}/own/d/a b"
        await files.write(path, "text", mode=0o600, user=7)
        info = await files.stat(path)
        assert (info.uid, oct(info.mode), info.size) == (7, "0o100600", 4)
        assert [it.name for it in await files.list(f"{top}/own")] == ["d"]
        assert await files.read(path) == b"text"
        await files.remove(f"{top}/own")
        with pytest.raises(NotFound):
            await files.stat(path)
        assert not Path(top, "own").exists()
    ran = await local.run(["cat", "/run/one"])
    assert ran.status != 0


async def test_trees_of_the_guest_go_both_ways(local: Guest, tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_bytes(bytes(range(256)) * 5000)
    await local.files.upload(tmp_path / "tree", "/run/tree")
    await local.files.download("/run/tree", tmp_path / "back")
    whole = (tmp_path / "tree/sub/file").read_bytes()
    assert (tmp_path / "back/sub/file").read_bytes() == whole


@pytest.mark.parametrize("way", ["path", "dots", "link"])
async def test_the_files_of_the_host_are_read_and_not_changed(
    local: Guest, host: Path, tmp_path: Path, way: str
) -> None:
    files = local.files
    top = {
        "path": f"{host}",
        "dots": f"/run/kata-containers/../../{host}",
        # A link in the guest's own /run, which leads to the host.
        "link": "/run/way",
    }[way]
    if way == "link":
        (tmp_path / "up").mkdir()
        (tmp_path / "up/way").symlink_to(host)
        await files.upload(tmp_path / "up", "/run")
    assert await files.read(f"{top}/file") == b"of the host"
    (tmp_path / "new").write_text("new")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("new")
    for refused in (
        lambda: files.write(f"{top}/file", "new"),
        lambda: files.write(f"{top}/link", "new"),
        lambda: files.write(f"{top}/new/deep", "new"),
        lambda: files.remove(f"{top}/file"),
        lambda: files.remove(f"{top}/sub"),
        lambda: files.upload(tmp_path / "new", f"{top}/sub/new"),
        lambda: files.upload(tmp_path / "tree", f"{top}/sub"),
        lambda: files.upload(tmp_path / "tree", f"{top}/new"),
    ):
        with pytest.raises(FileError, match=WHY):
            await refused()
    for refused in (
        lambda: files.write(f"{top}/fifo", "new"),
        lambda: files.read(f"{top}/fifo"),
    ):
        with pytest.raises(FileError, match="regular file|fifo"):
            await refused()
    if way == "link":
        # The link is the guest's own.
        await files.remove("/run/way")


async def test_folders_of_the_host_below_run_are_not_changed(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the guest's own directory is, on a host whose /run is a tmpfs."""
    folder = Path(f"/run/kata-own-{os.urandom(4).hex()}")
    folder.mkdir()
    try:
        monkeypatch.setenv("TMPDIR", str(folder))
        async with Guest.local() as guest:
            (found,) = await guest.files.list(f"{folder}")
            with pytest.raises(FileError, match=WHY):
                await guest.files.write(f"{folder}/{found.name}/new", "x")
            with pytest.raises(FileError, match="file"):
                await guest.files.remove(f"{folder}/{found.name}")
            assert await guest.files.list(f"{folder}") == [found]
    finally:
        folder.rmdir()


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_any_runtime_and_any_connection_keep_the_host_as_it_is(
    scratch: Path, tmp_path: Path, host: Path, runtime: str
) -> None:
    with local_guest_with(
        runtime, scratch / "guest", tmp_path, cgroup="auto"
    ) as started:
        async with Guest.connect(started.address) as guest:
            await guest.client.create_sandbox("own")
            assert await guest.files.read(f"{host}/file") == b"of the host"
            await guest.files.write("/run/own", "x")
            assert await guest.files.read("/run/own") == b"x"
            with pytest.raises(FileError, match=WHY):
                await guest.files.write(f"{host}/file", "new")


async def test_many_files_at_a_time_share_one_container(local: Guest) -> None:
    names = [f"/run/many/{n}" for n in range(8)]
    await asyncio.gather(*(local.files.write(name, name) for name in names))
    assert len(await local.files.list("/run/many")) == 8
    assert (
        len(
            [
                it
                for it in await local.files.list("/sys/fs/cgroup")
                if it.name.startswith("files-")
            ]
        )
        <= 1
    )
    files: Files = local.files
    await local.stop()
    with pytest.raises(GuestEnded, match="stopped"):
        await files.read("/run/many/0")
    with pytest.raises(RuntimeError, match="not started"):
        _ = local.files


def test_without_asyncio(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    with blocking.Guest.local() as guest:
        guest.files.write("/run/own", "x")
        assert guest.files.read("/run/own") == b"x"
        with pytest.raises(FileError, match=WHY):
            guest.files.write("/own", "x")
