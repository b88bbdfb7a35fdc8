# SPDX-License-Identifier: Apache-2.0
"""CopyFile: copied files, and attempts to get out of the shared directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import mount
from kata_agent.machine.file_copies import PARTIAL_LIMIT, FileCopies
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import CopyFileRequest
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.race import swapping

OWNER = {"uid": os.getuid(), "gid": os.getgid()}


class Guest:
    """A tree with a shared directory, and a directory outside that must not change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = SystemPaths(run=root / "run")
        self.shared = paths.shared
        self.shared.mkdir(parents=True)
        self.outside = root / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("secret")
        self.copies = FileCopies(paths)

    async def copy(self, path: str | Path, data: bytes = b"", **fields: Any) -> None:
        """Copy to `path`, which is below the shared directory unless absolute."""
        fields = {
            "file_size": len(data),
            "file_mode": stat.S_IFREG | 0o644,
            "dir_mode": 0o750,
            **OWNER,
            **fields,
        }
        await self.copies.copy(
            CopyFileRequest(path=f"{self.shared / path}", data=data, **fields)
        )

    def outside_is_untouched(self) -> bool:
        return (
            os.listdir(self.outside) == ["secret"]
            and (self.outside / "secret").read_text() == "secret"
        )

    def names(self) -> list[str]:
        """Everything in the shared directory, temporary names too."""
        return sorted(
            str(path.relative_to(self.shared)) for path in self.shared.rglob("*")
        )


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.copies.discard_partial()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


class TestFiles:
    async def test_a_file_gets_its_mode_and_its_parent_another(
        self, guest: Guest
    ) -> None:
        await guest.copy("a1/resolv.conf", b"nameserver ::1\n", file_mode=0o100640)
        copied = guest.shared / "a1/resolv.conf"
        assert copied.read_bytes() == b"nameserver ::1\n"
        assert mode_of(copied) == 0o640
        assert mode_of(copied.parent) == 0o750
        assert guest.names() == ["a1", "a1/resolv.conf"]

    async def test_a_file_appears_with_its_last_chunk(self, guest: Guest) -> None:
        await guest.copy("f", b"hello", file_size=10)
        assert not (guest.shared / "f").exists()
        await guest.copy("f", b"world", file_size=10, offset=5)
        assert (guest.shared / "f").read_bytes() == b"helloworld"
        assert guest.names() == ["f"]

    async def test_chunks_may_come_in_any_order(self, guest: Guest) -> None:
        content = random.Random(5).randbytes(1000)
        chunks = list(range(0, 1000, 100))
        random.Random(7).shuffle(chunks)
        for start in chunks:
            assert not (guest.shared / "f").exists()
            chunk = content[start : start + 100]
            await guest.copy("f", chunk, file_size=1000, offset=start)
        assert (guest.shared / "f").read_bytes() == content

    async def test_an_empty_file_needs_no_chunk(self, guest: Guest) -> None:
        await guest.copy("empty")
        assert (guest.shared / "empty").read_bytes() == b""

    async def test_a_file_replaces_an_older_one(self, guest: Guest) -> None:
        await guest.copy("f", b"longer than before")
        await guest.copy("f", b"short")
        assert (guest.shared / "f").read_bytes() == b"short"

    async def test_a_file_replaces_a_directory(self, guest: Guest) -> None:
        (guest.shared / "f/sub").mkdir(parents=True)
        (guest.shared / "f/sub/link").symlink_to(guest.outside)
        await guest.copy("f", b"file")
        assert (guest.shared / "f").read_bytes() == b"file"
        assert guest.outside_is_untouched()

    async def test_readers_see_the_old_file_or_the_new(self, guest: Guest) -> None:
        await guest.copy("f", b"old")
        await guest.copy("f", b"ne", file_size=3)
        assert (guest.shared / "f").read_bytes() == b"old"
        await guest.copy("f", b"w", file_size=3, offset=2)
        assert (guest.shared / "f").read_bytes() == b"new"

    async def test_offset_0_starts_anew(self, guest: Guest) -> None:
        await guest.copy("f", b"aaaa", file_size=8)
        await guest.copy("f", b"bb", file_size=4)
        await guest.copy("f", b"cc", file_size=4, offset=2)
        assert (guest.shared / "f").read_bytes() == b"bbcc"
        assert guest.names() == ["f"]

    async def test_names_may_differ_in_their_ending_alone(self, guest: Guest) -> None:
        await guest.copy("a.txt", b"t", file_size=2)
        await guest.copy("a.conf", b"c", file_size=2)
        await guest.copy("a.txt", b"T", file_size=2, offset=1)
        await guest.copy("a.conf", b"C", file_size=2, offset=1)
        assert (guest.shared / "a.txt").read_bytes() == b"tT"
        assert (guest.shared / "a.conf").read_bytes() == b"cC"

    async def test_a_name_may_have_255_bytes(self, guest: Guest) -> None:
        await guest.copy("n" * 255, b"x")
        assert (guest.shared / ("n" * 255)).read_bytes() == b"x"

    @pytest.mark.root
    async def test_a_file_gets_its_owner_and_set_id_bits(self, guest: Guest) -> None:
        await guest.copy("d/f", b"x", uid=1000, gid=2000, file_mode=0o106755)
        status = (guest.shared / "d/f").stat()
        assert (status.st_uid, status.st_gid) == (1000, 2000)
        assert mode_of(guest.shared / "d/f") == 0o6755
        parent = (guest.shared / "d").stat()
        assert (parent.st_uid, parent.st_gid) == (1000, 2000)

    async def test_minus_one_leaves_the_owner(self, guest: Guest) -> None:
        await guest.copy("f", b"x", uid=-1, gid=-1)
        assert (guest.shared / "f").stat().st_uid == os.getuid()

    async def test_an_existing_parent_stays_as_it_is(self, guest: Guest) -> None:
        (guest.shared / "d").mkdir(mode=0o700)
        await guest.copy("d/f", b"x", dir_mode=0o777)
        assert mode_of(guest.shared / "d") == 0o700

    async def test_a_failed_chunk_leaves_nothing(self, guest: Guest) -> None:
        with pytest.raises(OSError, match="File too large"):
            await guest.copy("f", b"x", offset=2**63 - 2, file_size=2**63 - 1)
        assert guest.names() == []

    async def test_partial_files_are_bounded(
        self, guest: Guest, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in range(PARTIAL_LIMIT + 3):
            await guest.copy(f"f{number}", b"x", file_size=2)
        assert len(guest.names()) == PARTIAL_LIMIT
        assert len(caplog.records) == 3
        guest.copies.discard_partial()
        assert guest.names() == []

    async def test_a_chunk_under_way_is_discarded_after_it(
        self, guest: Guest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writing, go_on = threading.Event(), threading.Event()
        pwrite = os.pwrite

        def wait(fd: int, data: bytes, offset: int) -> int:
            writing.set()
            assert go_on.wait(20)
            return pwrite(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", wait)
        copying = asyncio.create_task(guest.copy("f", b"x", file_size=2))
        assert await asyncio.to_thread(writing.wait, 20)
        guest.copies.discard_partial()
        assert len(guest.names()) == 1
        go_on.set()
        await copying
        assert guest.names() == []


class TestDirectories:
    async def test_a_directory_gets_its_mode_and_its_parent_another(
        self, guest: Guest
    ) -> None:
        await guest.copy("a/b", file_mode=stat.S_IFDIR | 0o3775)
        assert mode_of(guest.shared / "a/b") == 0o3775
        assert mode_of(guest.shared / "a") == 0o750

    async def test_an_existing_directory_keeps_its_files(self, guest: Guest) -> None:
        await guest.copy("d/f", b"x")
        await guest.copy("d", file_mode=stat.S_IFDIR | 0o700)
        assert mode_of(guest.shared / "d") == 0o700
        assert (guest.shared / "d/f").exists()

    async def test_a_directory_replaces_a_file(self, guest: Guest) -> None:
        await guest.copy("d", b"x")
        await guest.copy("d", file_mode=stat.S_IFDIR | 0o755)
        assert (guest.shared / "d").is_dir()

    async def test_a_directory_replaces_a_symlink_to_one(self, guest: Guest) -> None:
        (guest.shared / "d").symlink_to(guest.outside)
        before = mode_of(guest.outside)
        await guest.copy("d", file_mode=stat.S_IFDIR | 0o711)
        assert not (guest.shared / "d").is_symlink()
        assert mode_of(guest.outside) == before


class TestSymlinks:
    async def test_a_symlink_has_its_target(self, guest: Guest) -> None:
        await guest.copy("d/l", b"..data/file", file_mode=stat.S_IFLNK | 0o777)
        assert os.readlink(guest.shared / "d/l") == "..data/file"

    async def test_a_symlink_replaces_a_symlink_and_a_directory(
        self, guest: Guest
    ) -> None:
        await guest.copy("l", b"one", file_mode=stat.S_IFLNK)
        await guest.copy("l", b"two", file_mode=stat.S_IFLNK)
        assert os.readlink(guest.shared / "l") == "two"
        await guest.copy("d/f", b"x")
        await guest.copy("d", b"two", file_mode=stat.S_IFLNK)
        assert os.readlink(guest.shared / "d") == "two"
        assert guest.names() == ["d", "l"]

    @pytest.mark.root
    async def test_the_link_has_the_owner_not_its_target(self, guest: Guest) -> None:
        target = guest.outside / "secret"
        await guest.copy("l", bytes(target), file_mode=stat.S_IFLNK, uid=1000, gid=1000)
        assert (guest.shared / "l").lstat().st_uid == 1000
        assert target.stat().st_uid == os.getuid()

    async def test_a_symlink_that_stays_inside_is_followed(self, guest: Guest) -> None:
        await guest.copy("v1/f", b"old")
        await guest.copy("..data", b"v1", file_mode=stat.S_IFLNK)
        await guest.copy("..data/f", b"new")
        assert (guest.shared / "v1/f").read_bytes() == b"new"


class TestAttacks:
    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "/etc/passwd",
            "/run/x",
            "/run/kata-containers/shared/containers",
            "/run/kata-containers/shared/containersx/f",
            "run/kata-containers/shared/containers/f",
        ],
    )
    async def test_a_path_elsewhere_is_refused(self, guest: Guest, path: str) -> None:
        outside = path.replace("/run/kata", f"{guest.root}/run/kata", 1)
        with pytest.raises(InvalidArgument, match="not a path below"):
            await guest.copies.copy(CopyFileRequest(path=outside, file_mode=0o644))

    @pytest.mark.parametrize("path", ["../f", "a/../../f", "a/..", "a/../b", "a\0b"])
    async def test_dots_and_null_bytes_are_refused(
        self, guest: Guest, path: str
    ) -> None:
        with pytest.raises(InvalidArgument, match="not a path below"):
            await guest.copy(path, b"x")
        assert guest.names() == []

    @pytest.mark.parametrize("target", ["{outside}", "../../../../outside", "/"])
    @pytest.mark.parametrize("path", ["link/new", "link/secret", "link/sub/new"])
    @pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK])
    async def test_a_symlink_in_the_way_is_refused(
        self, guest: Guest, target: str, path: str, kind: int
    ) -> None:
        link = guest.shared / "link"
        link.symlink_to(target.format(outside=guest.outside))
        data = b"" if kind == stat.S_IFDIR else b"evil"
        with pytest.raises(InvalidArgument, match="leaves the shared directory"):
            await guest.copy(path, data, file_mode=kind | 0o644)
        assert guest.outside_is_untouched()

    async def test_a_symlink_at_the_end_is_replaced(self, guest: Guest) -> None:
        (guest.shared / "f").symlink_to(guest.outside / "secret")
        await guest.copy("f", b"harmless")
        assert not (guest.shared / "f").is_symlink()
        assert guest.outside_is_untouched()

    async def test_a_dangling_symlink_makes_nothing(self, guest: Guest) -> None:
        (guest.shared / "link").symlink_to(guest.outside / "new")
        with pytest.raises(InvalidArgument, match="leaves the shared directory"):
            await guest.copy("link/f", b"evil")
        assert guest.outside_is_untouched()

    async def test_a_magic_link_is_refused(self, guest: Guest) -> None:
        directory = os.open(guest.outside, os.O_RDONLY)
        (guest.shared / "link").symlink_to(f"/proc/self/fd/{directory}")
        with pytest.raises(InvalidArgument, match="leaves the shared directory"):
            await guest.copy("link/f", b"evil")
        os.close(directory)
        assert guest.outside_is_untouched()

    async def test_a_fifo_in_the_way_does_not_block(self, guest: Guest) -> None:
        os.mkfifo(guest.shared / "f")
        await guest.copy("f", b"x")
        assert (guest.shared / "f").read_bytes() == b"x"

    async def test_a_swap_between_two_chunks_leads_nowhere_else(
        self, guest: Guest
    ) -> None:
        await guest.copy("d/secret", b"he", file_size=4)
        (guest.shared / "d").rename(guest.shared / "moved")
        (guest.shared / "d").symlink_to(guest.outside)
        await guest.copy("d/secret", b"re", file_size=4, offset=2)
        assert guest.outside_is_untouched()
        assert (guest.shared / "moved/secret").read_bytes() == b"here"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"offset": -1}, "negative"),
            ({"file_size": -1}, "negative"),
            ({"uid": -2}, "uid -2"),
            ({"gid": -2}, "gid -2"),
            ({"file_size": 0}, "beyond its size"),
            ({"offset": 2**62}, "beyond its size"),
            ({"file_mode": stat.S_IFIFO | 0o644}, "neither a file"),
            ({"file_mode": stat.S_IFCHR | 0o644}, "neither a file"),
            ({"file_mode": stat.S_IFBLK | 0o644}, "neither a file"),
            ({"file_mode": stat.S_IFSOCK | 0o644}, "neither a file"),
            ({"file_mode": stat.S_IFLNK, "data": b""}, "no target"),
            ({"file_mode": stat.S_IFLNK, "data": b"a\0b"}, "no target"),
        ],
    )
    async def test_a_request_that_cannot_be_carried_out_is_refused(
        self, guest: Guest, fields: dict[str, Any], words: str
    ) -> None:
        data = fields.pop("data", b"data")
        with pytest.raises(InvalidArgument, match=words):
            await guest.copy("f", data, **fields)
        assert guest.names() == []

    @pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK])
    async def test_a_parent_that_is_swapped_all_the_time_leads_nowhere_else(
        self, guest: Guest, kind: int
    ) -> None:
        """The container exchanges the two as fast as it can."""
        place, link = guest.shared / "place", guest.shared / "link"
        place.mkdir()
        link.symlink_to(guest.outside)
        copied = refused = 0
        data = b"" if kind == stat.S_IFDIR else b"evil"
        with swapping(place, link) as swaps:
            while copied < 30 or refused < 30 or swaps.count < 500:
                try:
                    await guest.copy("place/new", data, file_mode=kind | 0o644)
                    copied += 1
                except InvalidArgument:
                    refused += 1
        assert guest.outside_is_untouched()

    @pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK])
    async def test_a_last_name_that_is_swapped_all_the_time_leads_nowhere_else(
        self, guest: Guest, kind: int
    ) -> None:
        name, link = guest.shared / "name", guest.shared / "link"
        name.mkdir()
        link.symlink_to(guest.outside)
        before = mode_of(guest.outside)
        data = b"" if kind == stat.S_IFDIR else b"evil"
        with swapping(name, link) as swaps:
            while swaps.count < 2000:
                with contextlib.suppress(InvalidArgument, OSError):
                    await guest.copy("name", data, file_mode=kind | 0o777)
        assert guest.outside_is_untouched()
        assert mode_of(guest.outside) == before

    async def test_a_swap_while_directories_are_made_leads_nowhere_else(
        self, guest: Guest
    ) -> None:
        place, link = guest.shared / "a/place", guest.shared / "a/link"
        place.mkdir(parents=True)
        link.symlink_to("../../../../../../outside")
        made = refused = 0
        with swapping(place, link) as swaps:
            while made < 20 or refused < 20 or swaps.count < 500:
                try:
                    await guest.copy(f"a/place/b{made}/c/d/new", b"evil")
                    made += 1
                except InvalidArgument:
                    refused += 1
        assert guest.outside_is_untouched()

    async def test_a_swap_while_a_directory_makes_room_leads_nowhere_else(
        self, guest: Guest
    ) -> None:
        """The removal of the old directory never follows a symlink."""
        directory = guest.shared / "d"
        for _ in range(20):
            for name in ("inner", "link"):
                (directory / name).mkdir(parents=True)
            (directory / "inner/file").touch()
            (directory / "link").rmdir()
            (directory / "link").symlink_to(guest.outside)
            with swapping(directory / "inner", directory / "link"):
                with contextlib.suppress(InvalidArgument, OSError):
                    await guest.copy("d", b"file")
            shutil.rmtree(directory, ignore_errors=True)
            directory.unlink(missing_ok=True) if directory.is_file() else None
        assert guest.outside_is_untouched()

    async def test_a_hard_link_to_a_file_outside_is_not_written_to(
        self, guest: Guest
    ) -> None:
        os.link(guest.outside / "secret", guest.shared / "f")
        await guest.copy("f", b"harmless", file_mode=0o104777)
        assert guest.outside_is_untouched()
        assert mode_of(guest.outside / "secret") != 0o4777

    @pytest.mark.root
    async def test_a_device_in_the_way_is_replaced_not_written_to(
        self, guest: Guest
    ) -> None:
        # A loop device without a file: to open it would fail or block.
        os.mknod(guest.shared / "f", stat.S_IFBLK | 0o600, os.makedev(7, 255))
        os.mknod(guest.shared / "d", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        await guest.copy("f", b"x")
        await guest.copy("d", file_mode=stat.S_IFDIR | 0o755)
        assert (guest.shared / "f").read_bytes() == b"x"
        assert (guest.shared / "d").is_dir()

    async def test_a_link_in_a_partial_file_s_place_is_replaced(
        self, guest: Guest
    ) -> None:
        await guest.copy("f", b"ha", file_size=4)
        (guest.shared / "f").symlink_to(guest.outside / "secret")
        await guest.copy("f", b"ha", file_size=4, offset=2)
        assert (guest.shared / "f").read_bytes() == b"haha"
        assert guest.outside_is_untouched()


@in_namespaces("v2")
async def test_files_mounted_in_a_directory_are_not_removed_with_it(
    world: World,
) -> None:
    guest = Guest(Path("/run/guest"))
    volume = guest.shared / "d/sub/volume"
    volume.mkdir(parents=True)
    mount("tmpfs", volume, "tmpfs")
    (volume / "data").write_text("data")
    (volume / "more").mkdir()
    for path in ("d", "d/sub", "d/sub/volume"):
        for kind, data in ((stat.S_IFREG, b"file"), (stat.S_IFLNK, b"link")):
            with pytest.raises((OSError, InvalidArgument)):
                await guest.copy(path, data, file_mode=kind | 0o644)
    assert sorted(os.listdir(volume)) == ["data", "more"]


async def test_two_copies_may_need_a_temporary_name_at_once(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=20)
    urandom = os.urandom

    def meet(size: int) -> bytes:
        both.wait()
        return urandom(size)

    monkeypatch.setattr(os, "urandom", meet)
    await asyncio.gather(guest.copy("one", b"1"), guest.copy("two", b"2"))
    assert guest.names() == ["one", "two"]
