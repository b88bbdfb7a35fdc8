# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading

import pytest

from kata_host.tar.pipe import PIPE_SIZE, in_own_thread, opened_pipe


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
