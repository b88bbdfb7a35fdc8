# SPDX-License-Identifier: Apache-2.0
"""An output on a real pipe: its end, and the bytes that its readers get."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import tty

import pytest

from kata_agent.container.output import LINGER, READ_AHEAD, Output


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


async def test_a_read_that_need_not_wait_takes_what_is_there() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    assert output.read_now(100) is None
    os.write(writer, b"there")
    assert output.read_now(0) == b""
    assert output.read_now(3) == b"the"
    os.close(writer)
    assert output.read_now(100) == b"re"
    assert output.read_now(100) == b""
    assert output.is_closed


async def test_a_busy_pipe_is_read_ahead_and_loses_nothing() -> None:
    reader, writer = os.pipe()
    output = Output(reader, grows=True)
    sent = os.urandom(READ_AHEAD + 100_000)
    received = bytearray()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        writing = threads.submit(write_and_close, writer, sent)
        # As Kata's runtimes read.
        while data := await output.read(32 << 10):
            received += data
            assert len(data) <= 32 << 10
        writing.result()
    assert received == sent
    assert output.is_closed


async def test_what_was_read_ahead_comes_before_a_fixed_end() -> None:
    reader, writer = os.pipe()
    output = Output(reader, grows=True)
    os.write(writer, bytes(64 << 10))
    assert len(await output.read(32 << 10)) == 32 << 10
    os.write(writer, b"y" * (32 << 10))
    # Takes all 64 KiB out of the pipe, and gives half.
    assert len(await output.read(32 << 10)) == 32 << 10
    output.end_soon()
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(LINGER, end.set)
    await end.wait()
    output.close_if_ended()
    assert await output.read(100_000) == b"y" * (32 << 10)
    assert await output.read(100) == b""
    assert output.is_closed
    os.close(writer)


def write_and_close(writer: int, data: bytes) -> None:
    with open(writer, "wb") as file:
        file.write(data)


async def test_a_read_does_not_overtake_one_that_waits() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    waiting = asyncio.create_task(output.read(2))
    await asyncio.sleep(0)
    os.write(writer, b"1 2")
    assert output.read_now(100) is None
    assert await waiting == b"1 "
    assert output.read_now(100) == b"2"
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


async def test_an_output_that_others_hold_ends_without_a_reader() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    output.end_soon()
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(LINGER, end.set)
    await end.wait()
    assert output.is_closed
    os.close(writer)


async def test_an_output_that_a_process_holds_is_not_closed_as_ended() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    output.close_if_ended()
    os.write(writer, b"x")
    os.close(writer)
    output.close_if_ended()
    assert await output.read(100) == b"x"
    output.close_if_ended()
    assert output.is_closed


async def test_all_of_a_terminal_is_read_after_the_end_though_others_hold_it() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    output = Output(master)
    # More than the 4,095 bytes that FIONREAD counts.
    os.write(slave, b"x" * 10_000)
    output.end_soon()
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(LINGER, end.set)
    await end.wait()
    chunks = []
    while chunk := await output.read(1000):
        chunks.append(chunk)
    assert b"".join(chunks) == b"x" * 10_000
    os.close(slave)


async def test_a_terminal_that_is_written_for_ever_ends() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(slave, False)
    output = Output(master)
    os.write(slave, b"before")
    output.end_soon()
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(LINGER, end.set)
    await end.wait()
    received = b""
    while chunk := await output.read(1 << 16):
        received += chunk
        os.write(slave, bytes(4000))
    assert received.startswith(b"before")
    os.close(slave)


async def test_the_last_bytes_of_a_terminal_are_not_taken_for_the_end() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    output = Output(master)
    os.write(slave, b"x")
    os.close(slave)
    # The byte may still be on its way inside of the kernel.
    output.close_if_ended()
    assert await output.read(10) == b"x"
    output.close_if_ended()
    assert output.is_closed
