# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from pathlib import Path

import pytest

from kata_host.ctl.host_stream import HostStream


async def test_a_pipe_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    stream = HostStream(reader, writing=False)
    os.write(writer, b"hello")
    assert await stream.read() == b"hello"
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    assert not reading.done()
    os.close(writer)
    assert await reading == b""
    stream.close()
    os.close(reader)


async def test_the_shared_descriptor_stays_blocking() -> None:
    reader, writer = os.pipe()
    for fd, writing in ((reader, False), (writer, True)):
        stream = HostStream(fd, writing=writing)
        stream.close()
        assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
        os.fstat(fd)  # Still open.
        os.close(fd)


async def test_a_full_pipe_does_not_block_the_loop() -> None:
    reader, writer = os.pipe()
    stream = HostStream(writer, writing=True)
    data = os.urandom(1 << 20)
    writing = asyncio.create_task(stream.write(data))
    await asyncio.sleep(0)
    assert not writing.done()
    received = await asyncio.to_thread(read_exactly, reader, len(data))
    await writing
    assert received == data
    stream.close()
    os.close(reader)
    os.close(writer)


def read_exactly(fd: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += os.read(fd, 1 << 16)
    return bytes(data)


async def test_a_pipe_without_a_reader_is_broken() -> None:
    reader, writer = os.pipe()
    stream = HostStream(writer, writing=True)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        await stream.write(b"x")
    stream.close()
    os.close(writer)


async def test_a_file_is_read_and_written_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "in", os.O_RDWR)
    os.lseek(fd, 5, os.SEEK_SET)
    stream = HostStream(fd, writing=False)
    assert b"".join([data async for data in stream]) == b"56789"
    await HostStream(fd, writing=True).write(b"abc")
    os.close(fd)
    assert (tmp_path / "in").read_bytes() == b"0123456789abc"


async def test_a_socket_is_used_as_it_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = HostStream(ours.fileno(), writing=True)
        await stream.write(b"hello")
        assert theirs.recv(10) == b"hello"
        theirs.send(b"back")
        assert await HostStream(ours.fileno(), writing=False).read() == b"back"
