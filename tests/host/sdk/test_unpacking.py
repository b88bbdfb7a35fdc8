# SPDX-License-Identifier: Apache-2.0
"""The ends of a pipe; tests/host/tar has what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kata_host.errors import FileError
from kata_host.sdk.unpacking import unpacking


def archive(name: str, size: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        folder = tarfile.TarInfo(".")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(bytes(size)))
    return made.getvalue()


async def hand_over(target: Path, data: bytes, *, chunk: int = 1 << 18) -> None:
    async with unpacking(target) as take:
        for start in range(0, len(data), chunk):
            await take(data[start : start + chunk])


async def test_a_tree_is_there_at_the_end_of_the_block(tmp_path: Path) -> None:
    await hand_over(tmp_path, archive("./file", 1 << 20))
    assert (tmp_path / "file").stat().st_size == 1 << 20


async def test_what_is_refused_ends_the_block(tmp_path: Path) -> None:
    data = archive("./../x", 0) + bytes(1 << 20)
    with pytest.raises(FileError, match=f"^{tmp_path}: .*a path out of the archive"):
        await hand_over(tmp_path, data)


async def test_half_an_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"^{tmp_path}: "):
        await hand_over(tmp_path, archive("./file", 5000)[:3000])


async def test_the_error_of_the_block_comes_first(tmp_path: Path) -> None:
    async def fail() -> None:
        async with unpacking(tmp_path) as take:
            await take(archive("./file", 5000)[:3000])
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        await fail()
