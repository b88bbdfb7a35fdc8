# SPDX-License-Identifier: Apache-2.0
"""A copy that follows its source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage import mirror
from kata_agent.storage.file_state import FileState
from kata_agent.storage.mirror import MAX_BYTES, MAX_ENTRIES, Mirror, TooLarge
from kata_agent.storage.mount_point import parse_mount_point
from kata_agent.system_paths import SystemPaths


class Pair:
    """A source (`original`) and its copy, both below the sandbox's directory."""

    def __init__(self, root: Path) -> None:
        self.paths = SystemPaths(run=root)
        self.original = self.paths.sandbox / "shared/original"
        self.copy = self.paths.sandbox / "watchable/copy"
        self.original.mkdir(parents=True)
        place = parse_mount_point(self.paths, str(self.copy))
        self.mirror = Mirror(self.paths, place, str(self.original))

    def publish(self, version: str, **files: str) -> None:
        """Change everything at once, as Kubernetes does."""
        (self.original / version).mkdir()
        for name, text in files.items():
            (self.original / version / name).write_text(text)
            link = self.original / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        (self.original / "..tmp").symlink_to(version)
        (self.original / "..tmp").rename(self.original / "..data")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def content(directory: Path) -> dict[str, object]:
    """Return each path of a tree with its text, or with the target of a symlink."""
    return {
        str(path.relative_to(directory)): os.readlink(path)
        if path.is_symlink()
        else path.read_text()
        if path.is_file()
        else None
        for path in directory.rglob("*")
    }


def test_a_volume_of_kubernetes_is_copied_as_it_is(pair: Pair) -> None:
    pair.publish("..1", a="one", b="two")
    pair.mirror.update()
    assert content(pair.copy) == content(pair.original)
    before = (pair.copy / "..1/a").stat().st_ino
    pair.mirror.update()
    assert (pair.copy / "..1/a").stat().st_ino == before
    pair.publish("..2", a="three")
    for name in ("..1/a", "..1/b", "b"):
        (pair.original / name).unlink()
    (pair.original / "..1").rmdir()
    pair.mirror.update()
    assert content(pair.copy) == content(pair.original)
    pair.mirror.remove()
    assert not pair.copy.exists()


def test_modes_and_times_are_copied(pair: Pair) -> None:
    file = pair.original / "a"
    file.write_text("x")
    file.chmod(0o640)
    os.utime(file, ns=(1, 10**9))
    pair.mirror.update()
    status = (pair.copy / "a").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o640, 10**9)
    file.chmod(0o600)
    pair.mirror.update()
    assert (pair.copy / "a").stat().st_mode & 0o7777 == 0o600


def test_a_name_may_change_its_type(pair: Pair) -> None:
    name = pair.original / "a"
    name.write_text("file")
    pair.mirror.update()
    name.unlink()
    name.mkdir()
    (name / "inner").write_text("deep")
    pair.mirror.update()
    assert content(pair.copy) == {"a": None, "a/inner": "deep"}
    (name / "inner").unlink()
    name.rmdir()
    name.symlink_to("nowhere")
    pair.mirror.update()
    assert content(pair.copy) == {"a": "nowhere"}


def test_the_copy_of_one_file_keeps_its_inode(pair: Pair) -> None:
    file = pair.original / "hosts"
    file.write_text("a long text")
    copy = pair.paths.sandbox / "watchable/hosts"
    single = Mirror(pair.paths, parse_mount_point(pair.paths, str(copy)), str(file))
    single.update()
    inode = copy.stat().st_ino
    file.write_text("short")
    single.update()
    assert (copy.read_text(), copy.stat().st_ino) == ("short", inode)
    single.remove()
    assert not copy.exists()


def test_too_many_files_and_too_many_bytes_are_refused(pair: Pair) -> None:
    for number in range(MAX_ENTRIES):
        (pair.original / str(number)).touch()
    pair.mirror.update()
    extra = pair.original / "extra"
    extra.symlink_to("1")
    with pytest.raises(TooLarge, match="more than 16 files or 1048576 bytes"):
        pair.mirror.update()
    extra.unlink()
    (pair.original / "1").write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(TooLarge):
        pair.mirror.update()


def test_a_file_that_grows_while_it_is_read_is_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pair.original / "a"
    file.write_text("small")
    survey = mirror._survey

    def grow_after(source: int) -> dict[str, FileState]:
        found = survey(source)
        file.write_bytes(bytes(MAX_BYTES + 1))
        return found

    monkeypatch.setattr(mirror, "_survey", grow_after)
    with pytest.raises(TooLarge, match="more than 1048576 bytes"):
        pair.mirror.update()


def test_devices_and_fifos_are_left_out(pair: Pair) -> None:
    os.mkfifo(pair.original / "fifo")
    (pair.original / "a").write_text("x")
    pair.mirror.update()
    assert content(pair.copy) == {"a": "x"}


def test_a_container_cannot_lead_the_copy_astray(pair: Pair, tmp_path: Path) -> None:
    """The container puts a symlink to the guest's own files into its copy."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (pair.original / "dir").mkdir()
    (pair.original / "dir/a").write_text("one")
    pair.mirror.update()
    (pair.copy / "dir/a").unlink()
    (pair.copy / "dir").rmdir()
    (pair.copy / "dir").symlink_to(outside)
    (outside / "a").write_text("the guest's")
    (pair.original / "dir/a").write_text("two two")
    with pytest.raises(InvalidArgument, match="leads out of"):
        pair.mirror.update()
    (pair.original / "dir/a").unlink()
    pair.mirror.update()
    pair.mirror.remove()
    assert not pair.copy.exists()
    assert content(outside) == {"a": "the guest's"}


def test_the_files_of_a_container_are_removed_with_the_copy(pair: Pair) -> None:
    (pair.original / "a").write_text("x")
    pair.mirror.update()
    (pair.copy / "own/deep").mkdir(parents=True)
    (pair.copy / "own/deep/file").touch()
    (pair.copy / "own/link").symlink_to("/etc")
    pair.mirror.remove()
    assert not pair.copy.exists()
