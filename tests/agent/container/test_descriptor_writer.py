# SPDX-License-Identifier: Apache-2.0
"""Writers that take turns on a real pipe."""

from __future__ import annotations

import asyncio
import os
import tty

import pytest

from kata_agent.container.descriptor_writer import DescriptorWriter
from kata_agent.container.output import Output
from kata_agent.errors import Internal


async def test_writers_take_turns() -> None:
    reader, fd = os.pipe()
    writer, output = DescriptorWriter(fd), Output(reader)
    size = 300 << 10
    writing = [
        asyncio.create_task(writer.write(letter * size)) for letter in (b"a", b"b")
    ]
    received = b""
    while len(received) < 2 * size:
        received += await output.read(1 << 16)
    assert received == b"a" * size + b"b" * size
    await asyncio.gather(*writing)
    writer.close()
    output.close()


async def test_a_cancelled_writer_lets_the_next_one_write() -> None:
    reader, fd = os.pipe()
    writer, output = DescriptorWriter(fd), Output(reader)
    blocked = asyncio.create_task(writer.write(bytes(4 << 20)))
    await asyncio.sleep(0)
    blocked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocked
    writing = asyncio.create_task(writer.write(b"next"))
    received = b""
    while not received.endswith(b"next"):
        received += await output.read(1 << 16)
    await writing
    writer.close()
    output.close()


async def test_a_closed_descriptor_takes_no_bytes() -> None:
    reader, fd = os.pipe()
    writer = DescriptorWriter(fd)
    writer.close()
    writer.close()
    assert writer.fd == -1
    with pytest.raises(Internal, match="closed before everything was written"):
        await writer.write(b"x")
    os.close(reader)


async def test_a_full_terminal_that_no_process_holds_takes_no_bytes() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    writer = DescriptorWriter(master)
    writing = asyncio.create_task(writer.write(bytes(1 << 20)))
    await asyncio.sleep(0)
    assert not writing.done()
    os.close(slave)
    with pytest.raises(Internal, match="no process reads it"):
        await asyncio.wait_for(writing, 30)
    with pytest.raises(Internal, match="no process reads it"):
        await writer.write(b"x")
    writer.close()


async def test_an_empty_terminal_that_no_process_holds_takes_no_bytes() -> None:
    master, slave = os.openpty()
    writer = DescriptorWriter(master)
    await writer.write(b"x")
    os.close(slave)
    with pytest.raises(Internal, match="no process reads it"):
        await writer.write(b"x")
    writer.close()
