# SPDX-License-Identifier: Apache-2.0
"""Mount points on a tree, without mounts; `test_mounts` has the mounts."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage.mount_point import (
    MountPoint,
    make_mount_point,
    parse_mount_point,
    remove_tree,
)
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    (tmp_path / "run/kata-containers").mkdir(parents=True)
    return SystemPaths(run=tmp_path / "run")


def point_at(paths: SystemPaths, path: str) -> MountPoint:
    return parse_mount_point(paths, f"{paths.sandbox}/{path}")


def make(point: MountPoint, undo: Undo, *, directory: bool = True) -> None:
    os.close(make_mount_point(point, undo, directory=directory))


def test_a_path_is_written_in_one_way(paths: SystemPaths) -> None:
    point = point_at(paths, "/shared/./a/")
    assert point == MountPoint(paths.sandbox, "shared/a")
    assert (str(point), point.name) == (f"{paths.sandbox}/shared/a", "a")


def test_a_host_without_root_has_a_directory_of_its_own(paths: SystemPaths) -> None:
    root = f"{paths.run}/user/1000/run/kata-containers"
    point = parse_mount_point(paths, f"{root}/a/b")
    assert (str(point.root), point.path) == (root, "a/b")


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
def test_a_path_that_is_elsewhere_is_refused(paths: SystemPaths, text: str) -> None:
    text = text.format(sandbox=paths.sandbox, run=paths.run)
    with pytest.raises(InvalidArgument, match="not below"):
        parse_mount_point(paths, text)


def test_all_that_was_made_is_undone(paths: SystemPaths) -> None:
    (paths.sandbox / "there").mkdir()
    with closing(Undo()) as undo:
        for name in ("there/a/b", "there/a/b/c", "x/y"):
            make(point_at(paths, name), undo)
        make(point_at(paths, "f/g/file"), undo, directory=False)
        assert (paths.sandbox / "f/g/file").is_file()
        assert (paths.sandbox / "there/a/b/c").is_dir()
    assert list(paths.sandbox.rglob("*")) == [paths.sandbox / "there"]


def test_the_root_is_made_too(tmp_path: Path) -> None:
    paths = SystemPaths(run=tmp_path / "missing")
    with closing(Undo()) as undo:
        make(point_at(paths, "a"), undo)
        assert (paths.sandbox / "a").is_dir()


def test_a_directory_that_somebody_has_used_stays(paths: SystemPaths) -> None:
    with closing(Undo()) as undo:
        make(point_at(paths, "a/b"), undo)
        (paths.sandbox / "a/b/file").touch()
    assert (paths.sandbox / "a/b/file").exists()


def test_a_directory_that_is_gone_does_not_keep_those_around_it(
    paths: SystemPaths,
) -> None:
    point = point_at(paths, "c1/upper")
    with closing(Undo()) as undo:
        make(point, undo)
        undo.callback(remove_tree, point)
    assert list(paths.sandbox.iterdir()) == []


def test_the_undo_accepts_a_symlink_in_its_way(
    paths: SystemPaths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    with closing(Undo()) as undo:
        make(point_at(paths, "a/b"), undo)
        (paths.sandbox / "a").rename(tmp_path / "moved")
        (paths.sandbox / "a").symlink_to(outside)
    assert (outside / "b").is_dir()
    assert [record.getMessage() for record in caplog.records] == [
        "mount point not cleaned up"
    ]


def test_a_tree_is_removed_with_all_its_files(paths: SystemPaths) -> None:
    (paths.sandbox / "a/b/c").mkdir(parents=True)
    (paths.sandbox / "a/b/file").touch()
    (paths.sandbox / "a/link").symlink_to("/etc")
    remove_tree(point_at(paths, "a"))
    (paths.sandbox / "file").touch()
    remove_tree(point_at(paths, "file"))
    remove_tree(point_at(paths, "none"))
    assert list(paths.sandbox.iterdir()) == []


def test_a_symlink_out_of_the_sandbox_is_refused(
    paths: SystemPaths, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (paths.sandbox / "link").symlink_to(outside)
    (paths.sandbox / "up").symlink_to("../..")
    for name in ("link/a", "link", "up/outside/a"):
        with (
            closing(Undo()) as undo,
            pytest.raises(InvalidArgument, match="leads out of"),
        ):
            make_mount_point(point_at(paths, name), undo)
    assert list(outside.iterdir()) == []


def test_a_symlink_inside_is_followed(paths: SystemPaths) -> None:
    (paths.sandbox / "shared/real").mkdir(parents=True)
    (paths.sandbox / "shared/link").symlink_to("real")
    with closing(Undo()) as undo:
        make(point_at(paths, "shared/link/a"), undo)
        assert (paths.sandbox / "shared/real/a").is_dir()


@pytest.mark.parametrize("directory", [True, False])
def test_a_symlink_to_another_container_is_refused(
    paths: SystemPaths, directory: bool
) -> None:
    (paths.sandbox / "c1").mkdir()
    (paths.sandbox / "shared").mkdir()
    (paths.sandbox / "shared/link").symlink_to("../c1")
    with (
        closing(Undo()) as undo,
        pytest.raises(InvalidArgument, match="leads to '.*/c1/a"),
    ):
        make(point_at(paths, "shared/link/a/b"), undo, directory=directory)
    assert list((paths.sandbox / "c1").iterdir()) == []


def test_a_symlink_that_comes_later_takes_nothing_of_another_container_away(
    paths: SystemPaths,
) -> None:
    with closing(Undo()) as undo:
        make(point_at(paths, "shared/a/file"), undo, directory=False)
        (paths.sandbox / "shared/a").rename(paths.sandbox / "shared/b")
        (paths.sandbox / "shared/a").symlink_to("../c1")
        (paths.sandbox / "c1").mkdir()
        (paths.sandbox / "c1/file").touch()
    assert (paths.sandbox / "c1/file").exists()
