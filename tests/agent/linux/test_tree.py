# SPDX-License-Identifier: Apache-2.0
"""Trees that a container made: deep, linked to elsewhere, mounted into."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.linux.beneath import open_directory, opened
from kata_agent.linux.mount import mount
from kata_agent.linux.tree import empty, has_group, remove_directory, set_group, walk
from tests.helpers.namespace import World, in_namespaces, require_root

DEPTH = 3000
"""Directories in one another: deeper than PATH_MAX and than Python's stack."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    with opened(open_directory(str(tmp_path))) as descriptor:
        yield descriptor


def nest(directory: int, depth: int) -> None:
    """Make directories in one another below an opened one."""
    current = os.dup(directory)
    for _ in range(depth):
        os.mkdir("d", dir_fd=current)
        inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)


def test_a_walk_names_every_entry_and_follows_no_link(
    root: int, tmp_path: Path
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / "a/link").symlink_to("/etc")
    found = {path: stat.S_IFMT(os.fstat(entry).st_mode) for path, entry in walk(root)}
    assert found == {
        "a": stat.S_IFDIR,
        "a/b": stat.S_IFDIR,
        "a/b/file": stat.S_IFREG,
        "a/link": stat.S_IFLNK,
    }


def test_a_group_gets_files_and_directories_but_no_linked_file(
    root: int, tmp_path: Path
) -> None:
    require_root()
    tree = tmp_path / "tree"
    tree.mkdir()
    outside = tmp_path / "outside"
    outside.touch(mode=0o600)
    (tree / "file").touch(mode=0o600)
    (tree / "link").symlink_to(outside)
    with opened(open_directory(str(tree))) as descriptor:
        assert not has_group(descriptor, 4321, read_only=False)
        set_group(descriptor, 4321, read_only=False)
        assert has_group(descriptor, 4321, read_only=False)
    assert tree.stat().st_mode & 0o7777 == 0o2775
    assert (tree / "file").stat().st_gid == 4321
    assert (tree / "file").stat().st_mode & 0o777 == 0o660
    assert outside.stat().st_gid != 4321


def test_a_read_only_group_cannot_write(root: int, tmp_path: Path) -> None:
    require_root()
    (tmp_path / "file").touch(mode=0o600)
    set_group(root, 4321, read_only=True)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_tree_deeper_than_any_path_is_removed(root: int, tmp_path: Path) -> None:
    os.mkdir("deep", dir_fd=root)
    with opened(os.open("deep", os.O_RDONLY, dir_fd=root)) as deep:
        nest(deep, DEPTH)
    remove_directory(root, "deep")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_its_target_stays(root: int, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(kept)
    remove_directory(root, "tree")
    assert (kept / "file").exists()


@in_namespaces("v2")
async def test_a_mount_inside_stays_with_its_files(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "tree/inner").mkdir(parents=True)
    mount("tmpfs", tmp_path / "tree/inner", "tmpfs")
    (tmp_path / "tree/inner/file").touch()
    with opened(os.open(tmp_path / "tree", os.O_RDONLY)) as tree:
        with pytest.raises(OSError, match="cannot open"):
            empty(tree)
    assert (tmp_path / "tree/inner/file").exists()
