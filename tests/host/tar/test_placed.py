# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from kata_host.tar import part
from kata_host.tar.placed import placed

PATIENCE = 20.0


async def test_a_copy_is_there_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    target.write_text("old")
    async with placed(target) as copy:
        copy.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("is_tree", [False, True])
async def test_of_a_copy_that_fails_nothing_is_there(
    tmp_path: Path, is_tree: bool
) -> None:
    async def copy() -> None:
        async with placed(tmp_path / "target") as half:
            if is_tree:
                (half / "sub").mkdir(parents=True)
            else:
                half.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy()
    assert os.listdir(tmp_path) == []


async def test_of_a_copy_that_is_cancelled_at_its_start_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makes, goes_on = threading.Event(), threading.Event()
    lock = part._lock

    def slow(path: Path) -> int:
        makes.set()
        assert goes_on.wait(PATIENCE)
        return lock(path)

    async def copy() -> None:
        async with placed(tmp_path / "target"):
            pytest.fail("it was cancelled before")

    monkeypatch.setattr(part, "_lock", slow)
    copying = asyncio.create_task(copy())
    assert await asyncio.to_thread(makes.wait, PATIENCE)
    copying.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert os.listdir(tmp_path) == []


async def test_a_directory_that_is_there_is_added_to(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    async with placed(tmp_path / "tree") as copy:
        assert copy == tmp_path / "tree"


async def test_an_error_names_the_target(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as raised:
        async with placed(tmp_path / "file") as copy:
            copy.mkdir()
    assert raised.value.filename == tmp_path / "file"
    assert os.listdir(tmp_path) == ["file"]
