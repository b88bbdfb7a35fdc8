# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.rootfs import make_busybox, prepared
from tests.helpers.talking_tar import path_with_talking_tar


def test_busybox_has_its_commands(tmp_path: Path) -> None:
    root = make_busybox(tmp_path / "root")
    assert os.readlink(root / "bin" / "sh") == "busybox"
    said = subprocess.run(
        [root / "bin" / "busybox", "echo", "hi"], stdout=subprocess.PIPE, check=True
    )
    assert said.stdout == b"hi\n"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_a_host_without_busybox_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="busybox-static"):
        make_busybox(tmp_path / "root")


def test_a_directory_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with prepared(tmp_path / "link", tmp_path / "scratch") as root:
        assert root == tmp_path
    assert not (tmp_path / "scratch").exists()


def test_a_temporary_directory_is_removed() -> None:
    with prepared(None) as root:
        assert (root / "bin" / "busybox").exists()
    assert not root.parent.exists()


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    (tmp_path / "file").write_text("x")
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "file", "etc/file")
    with prepared(archive, tmp_path / "scratch") as root:
        assert (root / "etc" / "file").read_text() == "x"


def member(name: str, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("../escaped")],
        [member("{outside}/escaped")],
        [member("way", "{outside}"), member("way/escaped")],
        [member("way", ".."), member("way/escaped")],
    ],
)
def test_a_hostile_archive_writes_nowhere_else(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for info in members:
            info.name = info.name.format(outside=outside)
            info.linkname = info.linkname.format(outside=outside)
            tar.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    scratch = outside / "scratch"
    try:
        with prepared(archive, scratch):
            pass
    except CommandError:
        pass  # An archive that is refused writes nothing either.
    after = [path for path in tmp_path.rglob("*") if scratch not in path.parents]
    assert sorted(set(after) - {scratch}) == before


@pytest.mark.parametrize("source", ["/no/such", "/dev/null"])
def test_a_source_that_is_neither_file_nor_directory_is_named(source: str) -> None:
    with pytest.raises(CommandError, match=source), prepared(Path(source)):
        pass


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no archive" * 1000)
    with pytest.raises(CommandError, match=r"a\.tar"):
        with prepared(tmp_path / "a.tar", tmp_path / "scratch"):
            pass


def test_what_tar_says_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GNU tar has a line for each entry that it cannot make."""
    monkeypatch.setenv("PATH", path_with_talking_tar(tmp_path / "bin"))
    (tmp_path / "archive").touch()
    tracemalloc.start()
    try:
        with (
            pytest.raises(CommandError, match=r"^rootfs '.*/archive': first$"),
            prepared(tmp_path / "archive"),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
