# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.tar.placed import placed


async def test_a_copy_is_there_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    target.write_text("old")
    async with placed(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("is_tree", [False, True])
async def test_of_a_copy_that_fails_nothing_is_there(
    tmp_path: Path, is_tree: bool
) -> None:
    async def copy() -> None:
        async with placed(tmp_path / "target") as part:
            if is_tree:
                (part / "sub").mkdir(parents=True)
            else:
                part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy()
    assert os.listdir(tmp_path) == []


async def test_a_directory_that_is_there_is_added_to(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    async with placed(tmp_path / "tree") as part:
        assert part == tmp_path / "tree"


async def test_an_error_names_the_target(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as raised:
        async with placed(tmp_path / "file") as part:
            part.mkdir()
    assert raised.value.filename == tmp_path / "file"
    assert os.listdir(tmp_path) == ["file"]
