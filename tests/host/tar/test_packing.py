# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.tar.packing import packed
from kata_host.tar.pipe import PIPE_SIZE
from kata_host.tar.unpack_chunks import unpack_chunks


async def some(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_tree_goes_through_a_pipe(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "big").write_bytes(os.urandom(3 * PIPE_SIZE))
    os.mkfifo(source / "fifo")
    async with packed(source, "t", (7, 8)) as packing:
        chunks = [chunk async for chunk in packing]
    assert packing.result.left_out == ["t/fifo"]
    assert await unpack_chunks(some(*chunks), tmp_path / "back") == []
    assert (tmp_path / "back/big").read_bytes() == (source / "big").read_bytes()


async def test_a_block_may_leave_before_the_end(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(8 * PIPE_SIZE))
    async with packed(tmp_path / "big", "big") as packing:
        assert await packing.read()


async def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with packed(tmp_path / "none", "none") as packing:
            assert await packing.read() == b""
