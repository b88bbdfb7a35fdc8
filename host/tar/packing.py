# SPDX-License-Identifier: Apache-2.0
"""An archive that a thread packs, so that a slow disk holds up no event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

from kata_host.tar.pack import ROOT, pack
from kata_host.tar.pipe import PIPE_SIZE, in_own_thread, opened_pipe
from kata_host.uncancelled import uncancelled


class Packing:
    """An archive that is being made."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self.left_out: Sequence[str] = ()
        """What is no file, directory or link; known when all has been read."""

    async def read(self) -> bytes:
        """Return the next bytes, and none at the end."""
        # The pipe is not closed under a read.
        return await uncancelled(asyncio.to_thread(self._reader.read, PIPE_SIZE))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


@contextlib.asynccontextmanager
async def packed(
    source: Path, name: str, owner: tuple[int, int] = ROOT
) -> AsyncIterator[Packing]:
    """Pack `source` under the name `name` while the block reads the archive.

    The block may end before it has read all. Raises `OSError` at its end.
    """

    def work(writer: BinaryIO) -> Sequence[str]:
        with writer, contextlib.suppress(BrokenPipeError):
            return pack(source, name, writer, owner)
        return ()

    with opened_pipe() as (reader, writer):
        thread = in_own_thread(work, writer)
        packing = Packing(reader)
        try:
            yield packing
        finally:
            # Ends the thread, if the block has not read all.
            reader.close()
            packing.left_out = await uncancelled(thread)
