# SPDX-License-Identifier: Apache-2.0
"""Archives, unpacked by busybox's cpio."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kata_host.guest.image.cpio import CpioArchive


def unpack(archive: bytes, target: Path) -> Path:
    if shutil.which("busybox") is None:
        if os.environ.get("CI"):
            pytest.fail("needs busybox")
        pytest.skip("needs busybox")
    target.mkdir()
    # Not as root's: the test may run as anybody.
    subprocess.run(
        ["busybox", "cpio", "-i", "-d", "-m"],
        input=archive,
        cwd=target,
        check=True,
        capture_output=True,
    )
    return target


def test_files_directories_and_links_are_unpacked(tmp_path: Path) -> None:
    archive = CpioArchive(time=1_000_000)
    archive.add_file("bin/program", b"#!/bin/sh\n", 0o755)
    archive.add_file("odd", b"123")
    archive.add_symlink("bin/link", "program")
    archive.add_directory("empty", 0o700)
    tree = unpack(archive.finish(), tmp_path / "tree")
    assert (tree / "bin/program").read_bytes() == b"#!/bin/sh\n"
    assert (tree / "bin/program").stat().st_mode & 0o777 == 0o755
    assert (tree / "bin/program").stat().st_mtime == 1_000_000
    assert (tree / "odd").read_bytes() == b"123"
    assert os.readlink(tree / "bin/link") == "program"
    assert (tree / "empty").stat().st_mode & 0o777 == 0o700


def test_a_tree_is_added_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/file").write_text("content")
    (source / "a/program").write_text("")
    (source / "a/program").chmod(0o700)
    (source / "a/link").symlink_to("b/file")
    (source / "a/dangling").symlink_to("/nowhere")
    archive = CpioArchive()
    archive.add_tree(source, "usr/lib")
    tree = unpack(archive.finish(), tmp_path / "tree") / "usr/lib/a"
    assert (tree / "b/file").read_text() == "content"
    assert (tree / "program").stat().st_mode & 0o777 == 0o755
    assert (tree / "b/file").stat().st_mode & 0o777 == 0o644
    assert os.readlink(tree / "link") == "b/file"
    assert os.readlink(tree / "dangling") == "/nowhere"


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    def archive() -> bytes:
        archive = CpioArchive()
        archive.add_tree(tmp_path, "x")
        return archive.finish()

    (tmp_path / "file").write_text("content")
    before = archive()
    os.utime(tmp_path / "file", (5, 5))
    assert archive() == before


def test_directories_come_before_what_is_in_them_and_once() -> None:
    archive = CpioArchive()
    archive.add_file("a/b/one", b"")
    archive.add_file("a/b/two", b"")
    data = archive.finish()
    assert data.index(b"a/b\0") < data.index(b"a/b/one\0") < data.index(b"a/b/two\0")
    assert data.count(b"a/b\0") == 1


def test_an_archive_is_whole_blocks_so_that_another_can_follow() -> None:
    archive = CpioArchive()
    archive.add_file("file", b"x" * 1001)
    assert len(archive.finish()) % 512 == 0
