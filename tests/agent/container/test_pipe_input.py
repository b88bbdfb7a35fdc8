# SPDX-License-Identifier: Apache-2.0
"""Stdin on a real pipe."""

from __future__ import annotations

import asyncio
import os

import pytest

from kata_agent.container.output import Output
from kata_agent.container.pipe_input import PipeInput
from kata_agent.errors import Internal


async def test_the_end_comes_after_all_that_was_written() -> None:
    reader, writer = os.pipe()
    stdin = PipeInput(writer)
    data = os.urandom(1 << 20)
    writing = asyncio.create_task(stdin.write(data))
    await asyncio.sleep(0)
    stdin.end()
    stdin.end()
    assert await stdin.write(b"after the end") == 0
    output = Output(reader)
    received = b""
    while chunk := await output.read(1 << 16):
        received += chunk
    assert await writing == len(data)
    assert received == data


async def test_a_write_that_no_process_reads_fails() -> None:
    reader, writer = os.pipe()
    stdin = PipeInput(writer)
    blocked = asyncio.create_task(stdin.write(bytes(4 << 20)))
    await asyncio.sleep(0)
    os.close(reader)
    with pytest.raises(Internal, match="no process reads it"):
        await blocked
    stdin.close()


async def test_closing_an_input_fails_a_blocked_writer() -> None:
    reader, writer = os.pipe()
    stdin = PipeInput(writer)
    blocked = asyncio.create_task(stdin.write(bytes(4 << 20)))
    await asyncio.sleep(0)
    stdin.close()
    with pytest.raises(Internal, match="closed before everything was written"):
        await blocked
    os.close(reader)


async def test_an_input_without_a_reader_is_closed_when_the_process_has_ended() -> None:
    reader, writer = os.pipe()
    stdin = PipeInput(writer)
    stdin.process_ended()
    await stdin.write(b"for the background job")
    assert os.read(reader, 100) == b"for the background job"
    os.close(reader)
    stdin.process_ended()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    stdin.process_ended()
    with pytest.raises(Internal):
        await stdin.write(b"x")
