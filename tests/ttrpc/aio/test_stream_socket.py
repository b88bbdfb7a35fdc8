# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.helpers.memory_stream import memory_pair
from ttrpc.aio.byte_sender import BUFFER_SIZE
from ttrpc.aio.stream_socket import StreamSocket


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0)


async def test_the_reader_is_called_while_there_is_something() -> None:
    ours, theirs = memory_pair()
    sock = StreamSocket(ours)
    received: list[bytes] = []
    sock.add_reader(sock.fileno(), lambda: received.append(sock.recv(3)))
    await theirs.send(b"abcdefgh")
    await until(lambda: len(received) == 3)
    assert received == [b"abc", b"def", b"gh"]
    sock.remove_reader(sock.fileno())
    await theirs.send(b"ij")
    for _ in range(5):
        await asyncio.sleep(0)
    assert received[3:] == []
    sock.add_reader(sock.fileno(), lambda: received.append(sock.recv(3)))
    await until(lambda: len(received) == 4)
    assert received[3:] == [b"ij"]
    sock.close()
    await until(lambda: ours.closed)


async def test_bytes_are_received_into_a_buffer() -> None:
    ours, theirs = memory_pair()
    sock = StreamSocket(ours)
    with pytest.raises(BlockingIOError):
        sock.recv_into(memoryview(bytearray(1)))
    await theirs.send(b"abcde")
    await until(lambda: sock._received)
    buffer = bytearray(3)
    assert sock.recv_into(memoryview(buffer)) == 3
    assert buffer == b"abc"
    assert sock.recv_into(memoryview(buffer)) == 2
    assert buffer == b"dec"
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    theirs.close()
    await until(lambda: sock._has_ended)
    assert sock.recv_into(memoryview(buffer)) == 0
    assert sock.recv(1) == b""
    sock.close()


async def test_a_buffer_is_taken_and_then_no_more() -> None:
    ours, theirs = memory_pair(room=1)
    sock = StreamSocket(ours)
    calls: list[None] = []
    assert sock.send(bytes(BUFFER_SIZE + 5)) == BUFFER_SIZE
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            sock.sendmsg([b"more", b"and more"])
    sock.add_writer(sock.fileno(), lambda: calls.append(None))
    await until(lambda: calls)
    assert sock.sendmsg([b"more", b"and more"]) == 4
    sock.remove_writer(sock.fileno())
    assert await theirs.receive() == bytes(BUFFER_SIZE)
    assert await theirs.receive() == b"more"
    sock.close()
    await until(lambda: ours.closed)


async def test_a_writer_that_comes_late_is_called() -> None:
    """There is room already, as a loop tells of a socket."""
    ours, _ = memory_pair()
    sock = StreamSocket(ours)
    calls: list[None] = []
    sock.add_writer(sock.fileno(), lambda: calls.append(None))
    await until(lambda: calls)
    sock.close()


async def test_a_receiver_that_is_cancelled_by_others_is_an_error() -> None:
    ours, _ = memory_pair()
    sock = StreamSocket(ours)
    await asyncio.sleep(0)
    sock._receiving.cancel()
    ended = asyncio.Event()
    sock.add_reader(sock.fileno(), ended.set)
    await until(ended.is_set)
    with pytest.raises(ConnectionAbortedError):
        sock.recv(1)
    sock.close()


async def test_bytes_that_are_text_are_an_error() -> None:
    class Text:
        async def receive(self) -> bytes:
            return "text"  # type: ignore[return-value]  # a mistake

        async def send(self, data: bytes) -> None:
            pass

        def close(self) -> None:
            pass

    sock = StreamSocket(Text())
    await until(lambda: sock._error)
    with pytest.raises(OSError, match="TypeError: memoryview"):
        sock.recv(1)
    sock.close()
