# SPDX-License-Identifier: Apache-2.0
"""Stays with a container that a keeper has: its output as it comes, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Final

from kata_host.guest.guest import GuestError
from kata_host.keeper.folder_watch import FolderWatch
from kata_host.keeper.log_reader import Chunk, LogReader, tail
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import RECORD, folder_of, read_open

RECHECK: Final = 1.0
"""Seconds after which a lock is looked at again, whose end is no event."""


async def follow(
    record: ContainerRecord, *, lines: int | None = None, live: bool = True
) -> AsyncIterator[Chunk]:
    """Yield the output of a container: its last `lines`, None for all that is kept.

    With `live`, goes on until the container has ended. Raises `GuestError` and
    `OSError`.
    """
    folder = folder_of(record.guest, record.id)
    with (
        _opened(record) as fd,
        FolderWatch(folder) as watch,
        LogReader(folder) as reader,
    ):
        has_ended = _record_at_end(fd) is not None or not live
        chunks = list(reader.read())
        for chunk in chunks if lines is None else tail(chunks, lines):
            yield chunk
        while not has_ended:
            await _changed(watch)
            # Before the last look at the output, which is written before the end.
            has_ended = _record_at_end(fd) is not None
            for chunk in reader.read():
                yield chunk


async def wait_for_end(record: ContainerRecord) -> ContainerRecord:
    """Wait until a container has ended; return its record then.

    Raises `GuestError` for one whose holder was killed, and `OSError`.
    """
    with _opened(record) as fd:
        with FolderWatch(folder_of(record.guest, record.id)) as watch:
            while (found := _record_at_end(fd)) is None:
                await _changed(watch)
    if not found.has_ended:
        raise GuestError(f"container '{record.id}': the process that kept it is gone")
    return found


@contextlib.contextmanager
def _opened(record: ContainerRecord) -> Iterator[int]:
    """Open the record for the block, in which it may be removed."""
    path = folder_of(record.guest, record.id) / RECORD
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise GuestError(f"container '{record.id}': removed meanwhile") from None
    try:
        yield fd
    finally:
        os.close(fd)


def _record_at_end(fd: int) -> ContainerRecord | None:
    """Return the record once its container has ended, or its holder has."""
    found = read_open(fd)
    if found is None or found[1] in (ContainerState.CREATED, ContainerState.RUNNING):
        return None
    return found[0]


async def _changed(watch: FolderWatch) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RECHECK):
            await watch.wait()
