# SPDX-License-Identifier: Apache-2.0
"""Hostile servers: a client keeps its timeouts and its bounds of memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

import ttrpc.aio
import ttrpc.sync
from tests.helpers.peer import ECHO
from tests.helpers.wire import close, data
from ttrpc import Code, Limits, StatusError, StreamFull

HI: Final = BytesValue(value=b"hi")
LIMITS: Final = Limits(stream_inbox=50_000, held_per_connection=100_000)
PIECE: Final = BytesValue(value=bytes(40_000))
STREAMS: Final = 20
ROOM: Final = 3
"""Streams for whose PIECE there is room: the last goes over the limit with it."""


@contextlib.contextmanager
def flood() -> Iterator[socket.socket]:
    """A server that sends empty frames of stream 0, and nothing else."""
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen(["cat", "/dev/zero"], stdout=theirs) as cat:
        try:
            yield ours
        finally:
            cat.kill()


async def test_frames_without_end_keep_no_timeout_from_passing() -> None:
    with flood() as sock:
        async with ttrpc.aio.Client(sock) as client:
            with pytest.raises(StatusError) as caught:
                await client.call(ECHO["Echo"], HI, timeout=0.1)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            async with client.open_stream(ECHO["EchoStream"], timeout=0.1) as stream:
                with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED"):
                    await stream.recv()


def test_nor_without_asyncio() -> None:
    with flood() as sock, ttrpc.sync.Client(sock) as client:
        with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED"):
            client.call(ECHO["Echo"], HI, timeout=0.1)
        with client.open_stream(ECHO["EchoStream"], timeout=0.1) as stream:
            with pytest.raises(StatusError, match="^DEADLINE_EXCEEDED"):
                stream.recv()


def fill(server: socket.socket, first: int) -> None:
    """Send a message on each of STREAMS streams, and end the stream."""
    for stream_id in range(first, first + 2 * STREAMS, 2):
        server.sendall(bytes(data(stream_id, PIECE)) + bytes(close(stream_id)))


async def test_unread_messages_count_also_after_the_end_of_their_stream() -> None:
    """Otherwise a server fills one stream after the other, and ends each."""
    ours, theirs = socket.socketpair()
    with theirs:
        async with ttrpc.aio.Client(ours, limits=LIMITS) as client:
            for round_ in range(3):
                streams = [
                    await client.open_stream(ECHO["EchoStream"]) for _ in range(STREAMS)
                ]
                await asyncio.to_thread(fill, theirs, 1 + round_ * 2 * STREAMS)
                counts = [await count(stream) for stream in streams[ROOM:]]
                assert counts == [0] * (STREAMS - ROOM)
                # Those that had room leave it again, whether they are read or dropped.
                if round_ != 1:
                    assert [await count(stream) for stream in streams[:ROOM]] == [1] * 3
                del streams
                gc.collect()


async def count(stream: Any) -> int:
    """Return the number of messages; 0 if there was no room for them."""
    try:
        return len([message async for message in stream])
    except StreamFull:
        return 0


def test_they_count_without_asyncio_too() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ttrpc.sync.Client(ours, limits=LIMITS) as client:
        for round_ in range(3):
            streams = [client.open_stream(ECHO["EchoStream"]) for _ in range(STREAMS)]
            server = threading.Thread(
                target=fill, args=(theirs, 1 + round_ * 2 * STREAMS)
            )
            server.start()
            for stream in streams[ROOM:]:
                with pytest.raises(StreamFull):
                    stream.recv()
            server.join()
            if round_ != 1:
                assert [len(list(stream)) for stream in streams[:ROOM]] == [1] * 3
            del streams, stream
            gc.collect()
