# SPDX-License-Identifier: Apache-2.0
"""Two connections over one, between two of our muxes and against raw bytes."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import UInt64Value

from bench.ttrpc.service import services
from tests.helpers.memory_stream import MemoryStream, memory_pair
from tests.helpers.peer import ECHO, LIMIT, echo, nap
from ttrpc import Closed
from ttrpc.aio import Client, Mux, Server
from ttrpc.aio.mux import PIECE
from ttrpc.aio.mux_connection import INBOX_SIZE

PATIENCE = 30.0


def header(number: int, length: int) -> bytes:
    return struct.pack(">II", number, length)


async def until_closed(*streams: MemoryStream) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all(stream.closed for stream in streams):
            await asyncio.sleep(0)


@pytest.mark.parametrize("piece", [3, 1 << 20])
async def test_both_sides_call_each_other(piece: int) -> None:
    """Each has a server on one connection and a client on the other."""
    trunks = memory_pair(piece)
    left, right = map(Mux, trunks)
    async with asyncio.timeout(PATIENCE), Server(services()) as server:
        served = [
            server.serve_connection(left.open(1)),
            server.serve_connection(right.open(2)),
        ]
        async with Client(left.open(2)) as one, Client(right.open(1)) as two:
            size = 20 if piece == 3 else 3 * PIECE
            values = [os.urandom(size + n) for n in range(20)]
            calls = [echo(client, it) for it in values for client in (one, two)]
            answers = await asyncio.gather(*calls)
            assert answers[::2] == answers[1::2] == values
        # Nothing tells the other side that one connection has ended.
        for connection in served:
            connection.close()
    await until_closed(*trunks)


async def test_large_messages_do_not_stop_the_other_connection() -> None:
    ours, theirs = socket.socketpair()
    left, right = Mux(ours), Mux(theirs)
    async with asyncio.timeout(PATIENCE), Server(services()) as server:
        for number in (1, 2):
            server.serve_connection(right.open(number))
        async with Client(left.open(1)) as one, Client(left.open(2)) as two:
            value = bytes(LIMIT - 100)
            large = [asyncio.create_task(echo(one, value)) for _ in range(3)]
            for n in range(20):
                assert await echo(two, b"%d" % n) == b"%d" % n
            assert await asyncio.gather(*large) == [value] * 3


async def test_a_plugin_dials_and_serves(tmp_path: Path) -> None:
    """What NRI's runtime sends and gets: numbers, lengths and ttrpc's frames."""
    path = f"{tmp_path}/nri.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE), Server(services()) as server:
            mux = await Mux.connect(f"unix://{path}", timeout=5)
            trunk, _ = await loop.sock_accept(listener)
            trunk.setblocking(False)
            served = server.serve_connection(mux.open(1))
            with trunk:
                async with Client(mux.open(2)) as client:
                    calling = asyncio.create_task(
                        client.call(ECHO["Make"], UInt64Value(value=1))
                    )
                    received = await loop.sock_recv(trunk, 100)
                    number, length = struct.unpack(">II", received[:8])
                    assert (number, length) == (2, len(received) - 8)
                    # An answer of no payload to stream 1, in two pieces, between
                    # which are one of no bytes and one of nobody's connection.
                    answer = struct.pack(">IIBB", 0, 1, 2, 0)
                    await loop.sock_sendall(
                        trunk,
                        header(2, 4)
                        + answer[:4]
                        + header(1, 0)
                        + header(77, 3)
                        + b"abc"
                        + header(2, 6)
                        + answer[4:],
                    )
                    assert (await calling).value == b""
            assert str(await served.wait_closed()) == "connection: closed by the peer"


async def test_pieces_are_as_long_as_nri_reads_them() -> None:
    trunk, peer = memory_pair()
    mux = Mux(trunk)
    connection = mux.open(7)
    await connection.send(bytes(2 * PIECE + 1))
    data = await peer.receive()
    assert data == b"".join(header(7, size) + bytes(size) for size in (PIECE, PIECE, 1))
    connection.close()
    await until_closed(trunk)


async def test_a_length_of_4_gib_is_not_waited_for() -> None:
    """What is there is handed on, and no more is kept than a connection may have."""
    trunk, peer = memory_pair(piece=1 << 16, room=1)
    connection = Mux(trunk).open(1)
    await peer.send(header(1, 0xFFFFFFFF) + b"x")
    assert await connection.receive() == b"x"
    sent = []

    async def send() -> None:
        while True:
            await peer.send(bytes(1 << 16))
            sent.append(1 << 16)

    sending = asyncio.create_task(send())
    for _ in range(1000):
        await asyncio.sleep(0)
    sending.cancel()
    assert 0 < sum(sent) <= INBOX_SIZE + (3 << 16)
    connection.close()
    await until_closed(trunk)


@pytest.mark.parametrize("end", [b"\0", header(1, 3) + b"a"])
async def test_an_end_within_a_piece_is_an_error(end: bytes) -> None:
    trunk, peer = memory_pair()
    async with asyncio.timeout(PATIENCE), Client(Mux(trunk).open(1)) as client:
        await peer.send(end)
        peer.close()
        cause = await client.wait_closed()
    assert str(cause) == "connection: receive failed: mux: ended within a piece"
    await until_closed(trunk)


async def test_an_error_of_the_trunk_is_that_of_each_connection() -> None:
    trunk, _ = memory_pair()
    mux = Mux(trunk)
    async with asyncio.timeout(PATIENCE):
        async with Client(mux.open(1)) as one, Client(mux.open(2)) as two:
            calls = [asyncio.create_task(nap(it, 100)) for it in (one, two)]
            await asyncio.sleep(0)
            trunk.fail(ConnectionResetError(104, "Connection reset by peer"))
            for call in calls:
                with pytest.raises(Closed, match="Connection reset by peer"):
                    await call
    await until_closed(trunk)


async def test_a_trunk_that_takes_nothing_is_waited_for_and_then_closed() -> None:
    trunk, _ = memory_pair(piece=1000, room=1)
    mux = Mux(trunk)
    async with asyncio.timeout(PATIENCE):
        async with Client(mux.open(1)) as one, Client(mux.open(2)) as two:
            for client in (one, two):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await echo(client, bytes(1 << 20))
        await until_closed(trunk)


async def test_closing_the_mux_ends_all() -> None:
    trunk, peer = memory_pair()
    mux = Mux(trunk)
    async with asyncio.timeout(PATIENCE), Client(mux.open(1)) as client:
        mux.close()
        mux.close()
        cause = await client.wait_closed()
        assert str(cause) == "connection: receive failed: mux: closed"
        await until_closed(trunk)
        with pytest.raises(ConnectionError, match="^mux: closed$"):
            mux.open(3)
    peer.close()


async def test_a_number_is_opened_once_at_a_time() -> None:
    trunk, _ = memory_pair()
    mux = Mux(trunk)
    first, _second = mux.open(1), mux.open(2)
    with pytest.raises(ValueError, match="^connection 1: is open$"):
        mux.open(1)
    for wrong in (-1, 1 << 32):
        with pytest.raises(ValueError, match=f"^connection {wrong}: not 32 bits$"):
            mux.open(wrong)
    first.close()
    mux.open(1)
    mux.close()
    await until_closed(trunk)
