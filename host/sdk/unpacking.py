# SPDX-License-Identifier: Apache-2.0
"""A folder of a box, unpacked on this host while the box writes it.

the block ── chunks ──> a pipe ──> a thread of its own: `kata_host.tar.unpack`
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kata_host.errors import FileError
from kata_host.explain import explain
from kata_host.sdk.uncancelled import uncancelled
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack import unpack


@contextlib.asynccontextmanager
async def unpacking(target: Path) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Unpack at `target`, an absolute path, the archive that the block hands over.

    The block gets a function that takes the next bytes, and waits while the disk is
    slow. Raises `FileError` for what is refused and what cannot be written; an error of
    the block comes first.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    # Not one of the threads that all share: many archives would wait for each other.
    thread = ThreadPoolExecutor(1, thread_name_prefix="kata-unpack")
    work = asyncio.get_running_loop().run_in_executor(thread, _unpack, reader, target)

    async def take(data: bytes) -> None:
        # The pipe is not closed under a write.
        await uncancelled(asyncio.to_thread(_write, writer, data))

    try:
        yield take
    except BrokenPipeError:
        pass  # The thread has ended, and its error says why.
    finally:
        os.close(writer)
        await uncancelled(asyncio.wait([work]))
        thread.shutdown(wait=False)
        error = work.exception()
    if isinstance(error, TarError | OSError):
        raise FileError(f"{target}: {explain(error)}") from error
    if error is not None:
        raise error


def _unpack(reader: int, target: Path) -> None:
    with open(reader, "rb", buffering=0) as file:
        unpack(file, target)
        # What follows the end of an archive is zeros.
        while file.read(1 << 16):
            pass


def _write(writer: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(writer, view) :]
