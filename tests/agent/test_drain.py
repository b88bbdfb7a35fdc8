# SPDX-License-Identifier: Apache-2.0
"""Draining pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest

from kata_agent.drain import LAST_READS, READ_SIZE, Drain, drained_pipe


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


async def _written(writer: int, data: bytes) -> None:
    """Write from a thread, which waits while the pipe is full."""
    await asyncio.to_thread(os.write, writer, data)


async def test_a_writer_never_waits_and_the_last_bytes_are_kept() -> None:
    with drained_pipe(10) as (drain, writer):
        await _written(writer, bytes(1 << 20))
        os.write(writer, b"the end")
        assert drain.stop() == b"\0\0\0the end"
        # What comes later stays in the pipe.
        os.write(writer, b"x")
        assert drain.stop() == b"\0\0\0the end"


async def test_nothing_is_kept_without_a_limit() -> None:
    with drained_pipe(0) as (drain, writer):
        await _written(writer, bytes(1 << 20))
        assert drain.stop() == b""


async def test_a_drain_that_keeps_all_stops_at_its_limit(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    drain = Drain(reader, 1000, keeps_all=True)
    os.write(writer, b"x" * 1000)
    while os.get_blocking(writer):
        await asyncio.sleep(0.001)
        if len(drain._kept) == 1000:
            break
    os.write(writer, b"later")
    assert drain.stop() == b"x" * 1000
    assert os.read(reader, 100) == b"later"


async def test_the_end_of_the_pipe_ends_the_drain() -> None:
    reader, writer = os.pipe()
    drain = Drain(reader, 100)
    os.write(writer, b"all")
    os.close(writer)
    loop = asyncio.get_running_loop()
    while loop.remove_reader(reader):
        loop.add_reader(reader, drain._read)
        await asyncio.sleep(0.001)
    assert drain.stop() == b"all"
    os.close(reader)


async def test_a_daemon_that_goes_on_writing_does_not_keep_the_reader() -> None:
    reader, writer = os.pipe()
    drain = Drain(reader, 1 << 30)

    def flood() -> None:
        with contextlib.suppress(BrokenPipeError):
            while True:
                os.write(writer, bytes(READ_SIZE))

    flooding = asyncio.create_task(asyncio.to_thread(flood))
    await asyncio.sleep(0)
    found = drain.stop()
    # Ends the flood, also where it waits for a reader.
    os.close(reader)
    await flooding
    os.close(writer)
    assert len(found) <= (LAST_READS + 1) * READ_SIZE
