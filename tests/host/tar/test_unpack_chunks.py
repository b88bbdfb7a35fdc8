# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack_chunks import unpack_chunks
from tests.helpers.saved_images import entry, tar_of


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


async def test_an_archive_that_goes_on_after_its_end_is_refused(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield tar_of(entry("t", b"x"))
        while True:
            yield bytes(1 << 16)

    with pytest.raises(TarError, match="archive: does not end"):
        await asyncio.wait_for(unpack_chunks(endless(), tmp_path / "t"), 30)
