# SPDX-License-Identifier: Apache-2.0
"""Bytes from one descriptor to another, at the pace of the slower."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

from kata_agent.console.pump import Pump

PATIENCE = 20.0


class Line:
    """A pump with a socket at either end."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.writer, self.source = socket.socketpair()
        self.sink, self.reader = socket.socketpair()
        for end in (self.writer, self.source, self.sink, self.reader):
            end.setblocking(False)
        self.ends: asyncio.Queue[bool] = asyncio.Queue()
        self.pump = Pump(
            loop, self.source.fileno(), self.sink.fileno(), self.ends.put_nowait
        )

    async def receive(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        received = b""
        while len(received) < size:
            received += await loop.sock_recv(self.reader, size - len(received))
        return received

    def close(self) -> None:
        self.pump.stop()
        for end in (self.writer, self.source, self.sink, self.reader):
            end.close()


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Line]:
    line = Line()
    try:
        async with asyncio.timeout(PATIENCE):
            yield line
    finally:
        line.close()


async def test_every_byte_arrives_in_order() -> None:
    content = os.urandom(1 << 20)
    async with opened() as line:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(line.writer, content))
        assert await line.receive(len(content)) == content
        await sending


async def test_a_sink_that_is_not_read_stops_the_reading() -> None:
    async with opened() as line:
        sent = 0
        # The pump gets turns until neither it nor the sockets take any more.
        full = 0
        while full < 100:
            try:
                sent += line.writer.send(b"x" * 65536)
                full = 0
            except BlockingIOError:
                full += 1
            await asyncio.sleep(0)
        assert await line.receive(sent) == b"x" * sent


async def test_the_end_of_the_source_is_reported_once() -> None:
    async with opened() as line:
        line.writer.close()
        assert await line.ends.get() is False
        await asyncio.sleep(0)
        assert line.ends.empty()


async def test_a_sink_that_breaks_is_reported() -> None:
    async with opened() as line:
        line.reader.close()
        line.writer.send(b"x")
        assert await line.ends.get() is True


async def test_a_pump_that_was_stopped_leaves_the_bytes() -> None:
    async with opened() as line:
        line.pump.stop()
        line.writer.send(b"x")
        await asyncio.sleep(0)
        assert line.source.recv(10) == b"x"
