# SPDX-License-Identifier: Apache-2.0
"""An archive that a thread unpacks, so that a slow disk holds up no event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from kata_host.tar.pipe import PIPE_SIZE, in_own_thread, opened_pipe, write
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack import unpack
from kata_host.uncancelled import uncancelled

TRAILER: Final = 16 << 20
"""Bytes after the end of an archive, at most: tar fills its last record, whose size the
other end may have chosen."""


async def unpack_chunks(
    chunks: AsyncIterator[bytes], target: Path, shown: Path | None = None
) -> Sequence[str]:
    """Unpack an archive at `target`; return what is left out (`kata_host.tar.unpack`).

    `shown` is the name of `target` in errors. Raises `TarError` or `OSError` as soon as
    something is refused; the chunks after that are not read.
    """

    def work(reader: BinaryIO) -> Sequence[str]:
        with reader:
            left_out = unpack(reader, target, shown=shown)
            # What follows the end of an archive is zeros, and few.
            after = 0
            while data := reader.read(PIPE_SIZE):
                after += len(data)
                if after > TRAILER:
                    raise TarError("archive: does not end")
        return left_out

    with opened_pipe() as (reader, writer):
        thread = in_own_thread(work, reader)
        feeding = asyncio.ensure_future(_feed(chunks, writer))
        both: set[asyncio.Future[Any]] = {thread, feeding}
        try:
            # A guest may be silent for ever after what was refused.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
        finally:
            feeding.cancel()
            # The feeding closes the pipe, which ends the thread.
            await uncancelled(asyncio.wait(both))
            refusal = thread.exception()
        if refusal is not None:
            raise refusal
        return thread.result()


async def _feed(chunks: AsyncIterator[bytes], writer: BinaryIO) -> None:
    with writer, contextlib.suppress(BrokenPipeError):
        async for data in chunks:
            await write(writer, data)
