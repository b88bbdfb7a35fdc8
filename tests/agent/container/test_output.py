# SPDX-License-Identifier: Apache-2.0
"""An output on a real pipe: its end, and the bytes that its readers get."""

from __future__ import annotations

import asyncio
import os

import pytest

from kata_agent.container.output import LINGER, Output


async def test_output_ends_when_its_writer_closes() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    os.write(writer, b"last words")
    os.close(writer)
    assert await output.read(4) == b"last"
    assert await output.read(100) == b" words"
    assert await output.read(100) == b""
    assert output.is_closed


async def test_output_is_cut_after_its_process_though_others_hold_it() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    os.write(writer, b"before")
    output.end_soon()
    ended = asyncio.get_running_loop().time()
    assert await output.read(100) == b"before"
    assert await output.read(100) == b""
    took = asyncio.get_running_loop().time() - ended
    assert LINGER * 0.9 <= took < LINGER + 0.4
    os.close(writer)


async def test_output_written_until_the_cut_is_delivered_though_it_goes_on() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    output.end_soon()
    os.write(writer, b"x" * 1000)
    # A timer with the same delay, so it runs right after that of the output.
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(LINGER, end.set)
    await end.wait()
    os.write(writer, b"too late")
    assert await output.read(600) == b"x" * 600
    assert await output.read(600) == b"x" * 400
    assert await output.read(600) == b""
    os.close(writer)


async def test_a_cancelled_reader_takes_nothing() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    abandoned = asyncio.create_task(output.read(100))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    os.write(writer, b"still here")
    assert await output.read(100) == b"still here"
    output.close()
    os.close(writer)


async def test_closing_an_output_ends_its_readers() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    reading = [asyncio.create_task(output.read(100)) for _ in range(3)]
    await asyncio.sleep(0)
    output.close()
    assert await asyncio.gather(*reading) == [b"", b"", b""]
    os.close(writer)
