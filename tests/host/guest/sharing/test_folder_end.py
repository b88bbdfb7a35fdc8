# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import select
from pathlib import Path

import pytest

from kata_host.guest.sharing.folder_end import FolderEnd

PATIENCE = 60.0


def test_the_end_of_the_folder_is_told_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    held = (folder / "file").open("w")
    with held, FolderEnd(folder) as end:
        assert not select.select([end], [], [], 0)[0]
        (tmp_path / "other").touch()
        (tmp_path / "other").unlink()
        assert select.select([end], [], [], PATIENCE)[0]
        assert not end.has_come()
        assert not select.select([end], [], [], 0)[0]
        (folder / "file").unlink()
        folder.rmdir()
        assert select.select([end], [], [], PATIENCE)[0]
        assert end.has_come()


def test_a_folder_that_was_moved_has_ended(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with FolderEnd(tmp_path / "folder") as end:
        (tmp_path / "folder").rename(tmp_path / "elsewhere")
        assert select.select([end], [], [], PATIENCE)[0]
        assert end.has_come()


def test_a_folder_that_was_never_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderEnd(tmp_path / "none" / "folder")
