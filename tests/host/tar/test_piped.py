# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.tar.piped import PIPE_SIZE, packed, unpack_chunks
from kata_host.tar.tar_error import TarError
from tests.helpers.saved_images import entry, tar_of


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
    assert packing.left_out == ["t/fifo"]
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


async def test_a_refusal_does_not_wait_for_more(tmp_path: Path) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield tar_of(entry("../out"))
        await asyncio.Event().wait()

    with pytest.raises(TarError, match=r"'\.\./out': a path out of the archive"):
        await asyncio.wait_for(unpack_chunks(silent(), tmp_path / "t"), 30)


async def test_an_error_of_the_source_is_the_error(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield tar_of(entry("t", b"x" * 5000))[:700]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await unpack_chunks(failing(), tmp_path / "t")


async def test_a_caller_that_is_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        info = tarfile.TarInfo("t")
        info.size = 1 << 40
        yield info.tobuf()
        started.set()
        while True:
            yield bytes(1 << 16)

    unpacking = asyncio.create_task(unpack_chunks(endless(), tmp_path / "t"))
    await started.wait()
    unpacking.cancel()
    with pytest.raises((asyncio.CancelledError, TarError)):
        await unpacking
