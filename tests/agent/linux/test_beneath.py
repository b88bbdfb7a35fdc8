# SPDX-License-Identifier: Apache-2.0
"""No path leads out of the directory beneath which it is resolved."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.linux.beneath import (
    is_directory,
    make_directories,
    make_file,
    open_directory,
    open_parent,
    opened,
    proc_path,
    remove_directories,
    split,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    with opened(open_directory(str(tmp_path))) as descriptor:
        yield descriptor


def test_a_descriptor_is_closed_at_the_end_of_its_block() -> None:
    with opened(os.open("/", os.O_PATH)) as descriptor:
        os.fstat(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_missing_directories_are_made_and_named_outermost_first(
    root: int, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    made: list[str] = []
    descriptor = make_directories(root, "a/b//./c", made, mode=0o700)
    with opened(descriptor):
        assert made == ["a/b", "a/b/c"]
        assert os.path.samestat(os.fstat(descriptor), (tmp_path / "a/b/c").stat())
        assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700


def test_a_planted_link_that_leads_out_is_refused_and_what_was_made_is_told(
    root: int, tmp_path: Path
) -> None:
    (tmp_path / "out").symlink_to("/etc")
    made: list[str] = []
    with pytest.raises(OSError, match="out") as caught:
        make_directories(root, "new/../out/x", made)
    assert caught.value.errno == errno.EXDEV
    assert made == ["new"]
    remove_directories(root, made)
    assert not (tmp_path / "new").exists()


def test_a_link_that_stays_beneath_is_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    made: list[str] = []
    os.close(make_directories(root, "link/inner", made))
    assert made == ["link/inner"]
    assert (tmp_path / "real/inner").is_dir()


def test_only_empty_directories_are_removed(root: int, tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").touch()
    with pytest.raises(OSError, match="not empty"):
        remove_directories(root, ["a", "a/b", "a/b/c", "a/b/c/gone"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file"]


def test_a_file_is_made_once(root: int, tmp_path: Path) -> None:
    for expected in (True, False):
        descriptor, is_new = make_file(root, "file", mode=0o600)
        with opened(descriptor):
            assert is_new is expected
            assert os.path.samestat(os.fstat(descriptor), (tmp_path / "file").stat())


def test_an_absolute_path_is_beneath_the_root_too(root: int, tmp_path: Path) -> None:
    descriptor, is_new = make_file(root, "/file")
    os.close(descriptor)
    assert is_new
    assert (tmp_path / "file").exists()


def test_a_dangling_link_is_no_place_for_a_new_file(root: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/tmp/nowhere-at-all")
    with pytest.raises(OSError, match="link"):
        make_file(root, "link")
    assert not Path("/tmp/nowhere-at-all").exists()


def test_the_parent_of_a_name_is_the_directory_itself(
    root: int, tmp_path: Path
) -> None:
    with opened(open_parent(root, "name")) as parent:
        assert os.path.samestat(os.fstat(parent), tmp_path.stat())
        assert is_directory(parent)
        assert Path(proc_path(parent)).samefile(tmp_path)


def test_empty_parts_and_dots_are_left_out() -> None:
    assert split("./a//b/.") == ["a", "b"]
    assert split("a/../b") == ["a", "..", "b"]
