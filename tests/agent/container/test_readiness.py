# SPDX-License-Identifier: Apache-2.0
"""Waiting on real pipes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from kata_agent.container.readiness import Readiness


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reader and writer, nonblocking."""
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield ends
    for fd in ends:
        os.close(fd)


async def test_a_reader_waits_until_there_is_a_byte(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    waiting = asyncio.create_task(Readiness(reader).wait_readable())
    await asyncio.sleep(0)
    assert not waiting.done()
    os.write(writer, b"x")
    await waiting
    # The loop watches the descriptor no more.
    assert not asyncio.get_running_loop().remove_reader(reader)


async def test_a_writer_waits_until_there_is_room(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    written = os.write(writer, bytes(1 << 20))
    waiting = asyncio.create_task(Readiness(writer).wait_writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(os.read(reader, written)) == written
    await waiting
    assert not asyncio.get_running_loop().remove_writer(writer)


async def test_a_waiting_task_can_be_woken_early(pipe: tuple[int, int]) -> None:
    readiness = Readiness(pipe[0])
    readiness.wake()
    waiting = asyncio.create_task(readiness.wait_readable())
    await asyncio.sleep(0)
    assert not waiting.done()
    readiness.wake()
    readiness.wake()
    await waiting


async def test_a_cancelled_task_leaves_nothing_behind(pipe: tuple[int, int]) -> None:
    waiting = asyncio.create_task(Readiness(pipe[0]).wait_readable())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not asyncio.get_running_loop().remove_reader(pipe[0])
