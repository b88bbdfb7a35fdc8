# SPDX-License-Identifier: Apache-2.0
"""Archives between the event loop and the disk, in constant memory.

A thread packs or unpacks, so that slow disks hold up nothing. A pipe is between the
thread and the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.tar.pack import ROOT, pack
from kata_host.tar.unpack import unpack

PIPE_SIZE: Final = 1 << 20
"""Bytes; what an unprivileged user may set (man 7 pipe)."""


class Packing:
    """An archive that is being made."""

    def __init__(self, reader: BinaryIO) -> None:
        self._reader = reader
        self.left_out: Sequence[str] = ()
        """What is no file, directory or link; known when all has been read."""

    async def read(self) -> bytes:
        """Return the next bytes, and none at the end."""
        return await asyncio.to_thread(self._reader.read, PIPE_SIZE)

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

    with _pipe() as (reader, writer):
        thread = asyncio.ensure_future(asyncio.to_thread(work, writer))
        packing = Packing(reader)
        try:
            yield packing
        finally:
            # Ends the thread, if the block has not read all.
            reader.close()
            packing.left_out = await thread


async def unpack_chunks(chunks: AsyncIterator[bytes], target: Path) -> Sequence[str]:
    """Unpack an archive at `target`; return what is left out (`kata_host.tar.unpack`).

    Raises `TarError` or `OSError` as soon as something is refused; the chunks after
    that are not read.
    """

    def work(reader: BinaryIO) -> Sequence[str]:
        with reader:
            left_out = unpack(reader, target)
            # What follows the end of an archive is zeros.
            while reader.read(PIPE_SIZE):
                pass
        return left_out

    with _pipe() as (reader, writer):
        thread = asyncio.ensure_future(asyncio.to_thread(work, reader))
        feeding = asyncio.ensure_future(_feed(chunks, writer))
        try:
            # A guest may be silent for ever after what was refused.
            await asyncio.wait({thread, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
            writer.close()
            await asyncio.wait([thread])
            refusal = thread.exception()
        if refusal is not None:
            raise refusal
        return thread.result()


async def _feed(chunks: AsyncIterator[bytes], writer: BinaryIO) -> None:
    with writer, contextlib.suppress(BrokenPipeError):
        async for data in chunks:
            await asyncio.to_thread(_write, writer, data)


def _write(writer: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[writer.write(view) :]


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    ends = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    with open(ends[0], "rb", buffering=0) as reader:
        with open(ends[1], "wb", buffering=0) as writer:
            yield reader, writer
