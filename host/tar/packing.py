# SPDX-License-Identifier: Apache-2.0
"""An archive that a thread packs, so that a slow disk holds up no event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from kata_host.tar.pack import ROOT, Packed, pack
from kata_host.tar.pipe import READ_SIZE, in_own_thread, opened_pipe, read
from kata_host.uncancelled import uncancelled


class Packing:
    """An archive that is being made."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self.result = Packed()
        """What is known when all has been read."""

    async def read(self) -> bytes:
        """Return the next bytes, and none at the end."""
        return await read(self._reader, READ_SIZE)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


@contextlib.asynccontextmanager
async def packed(
    source: Path,
    name: str,
    owner: tuple[int, int] = ROOT,
    part: str | None = None,
) -> AsyncIterator[Packing]:
    """Pack `source` as `pack` does while the block reads the archive.

    The block may end before it has read all. Raises `OSError` at its end.
    """

    def work(writer: BinaryIO) -> Packed:
        with writer, contextlib.suppress(BrokenPipeError):
            return pack(source, name, writer, owner, part)
        return Packed()

    with opened_pipe() as (reader, writer):
        thread = in_own_thread(work, writer)
        packing = Packing(reader)
        try:
            yield packing
        finally:
            # Ends the thread, if the block has not read all.
            reader.close()
            packing.result = await uncancelled(thread)
