# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading

import pytest

from kata_host.tar.pipe import PIPE_SIZE, in_own_thread, opened_pipe, read, write


def test_a_pipe_holds_much() -> None:
    with opened_pipe() as (reader, writer):
        assert writer.write(bytes(PIPE_SIZE)) == PIPE_SIZE
        assert len(reader.read(PIPE_SIZE)) == PIPE_SIZE
    assert (reader.closed, writer.closed) == (True, True)


async def test_many_work_at_a_time() -> None:
    """More than the threads that `asyncio.to_thread` shares."""
    everyone = threading.Barrier(40, timeout=30)
    with opened_pipe() as (reader, _):
        works = [in_own_thread(lambda _: everyone.wait(), reader) for _ in range(40)]
        assert sorted(await asyncio.gather(*works)) == [*range(40)]


async def test_an_error_of_the_work_is_raised() -> None:
    with opened_pipe() as (reader, _):
        with pytest.raises(TypeError):
            await in_own_thread(lambda end: len(end), reader)  # type: ignore[arg-type]


async def test_a_full_pipe_and_an_empty_one_hold_up_no_loop() -> None:
    with opened_pipe() as (reader, writer):
        data = bytes(range(256)) * (3 * PIPE_SIZE // 256)
        writing = asyncio.create_task(write(writer, data))
        found = b""
        while len(found) < len(data):
            found += await read(reader, PIPE_SIZE)
        await writing
        assert found == data
        reading = asyncio.create_task(read(reader, 9))
        await asyncio.sleep(0)
        writer.close()
        assert await reading == b""
