# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import socket
from pathlib import Path

import pytest

from kata_host.ctl.host_stream import HostStream
from kata_host.stream_error import ReaderGone, StreamError


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
    with pytest.raises(ReaderGone):
        await stream.write(b"x")
    stream.close()
    os.close(writer)


async def test_what_cannot_be_written_or_read_is_said() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(StreamError, match="No space left on device") as refused:
        await HostStream(full, writing=True).write(b"x")
    assert not isinstance(refused.value, ReaderGone)
    os.close(full)
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(StreamError, match="Is a directory"):
        await HostStream(directory, writing=False).read()
    os.close(directory)


async def test_the_hang_up_of_a_terminal_is_its_end() -> None:
    user, program = pty.openpty()
    stream = HostStream(program, writing=False)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    os.close(user)
    assert await reading == b""
    stream.close()
    os.close(program)


async def test_a_full_socket_that_blocks_does_not_block_the_loop() -> None:
    ours, theirs = socket.socketpair()
    data = os.urandom(1 << 22)
    with ours, theirs:
        stream = HostStream(ours.fileno(), writing=True)
        writing = asyncio.create_task(stream.write(data))
        received = await asyncio.to_thread(read_exactly, theirs.fileno(), len(data))
        await writing
        stream.close()
        assert received == data
        assert ours.getblocking()


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
        stream.close()
        assert theirs.recv(10) == b"hello"
        theirs.send(b"back")
        stream = HostStream(ours.fileno(), writing=False)
        assert await stream.read() == b"back"
        stream.close()
