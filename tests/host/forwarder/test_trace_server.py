# SPDX-License-Identifier: Apache-2.0
"""The host's end of the trace port against hostile guests."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kata_host.forwarder.listen import listen_unix
from kata_host.forwarder.received_batch import ReceivedBatch
from kata_host.forwarder.sink import TAKEN, BatchResponse
from kata_host.forwarder.trace_server import TraceServer, TraceServerLimits, decompress
from kata_tracing.http1.message import format_request
from kata_tracing.http1.message_reader import MessageReader

PROTOBUF = "application/x-protobuf"
LIMITS = TraceServerLimits(body=1000, idle=5, request=0.2, guest_connections=3)


class Sink:
    def __init__(self) -> None:
        self.batches: list[ReceivedBatch] = []

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        self.batches.append(batch)
        return TAKEN


class Guest:
    """A guest's end of the port."""

    def __init__(self, path: Path, sink: Sink) -> None:
        self.path = path
        self.sink = sink

    async def say(self, data: bytes) -> tuple[int, bool]:
        """Return the status of the answer and whether the connection was closed."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            writer.write(data)
            answers = MessageReader(max_body=1000, response=True)
            message = None
            while message is None:
                message = answers.feed(await reader.read(1000))
            return message.status, not message.keeps_alive
        finally:
            writer.close()
            await writer.wait_closed()


@pytest_asyncio.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    sink = Sink()
    path = tmp_path / "guest.sock_10240"
    async with TraceServer([await listen_unix(path)], sink, limits=LIMITS):
        yield Guest(path, sink)


async def test_a_batch_reaches_the_sink(guest: Guest) -> None:
    request = format_request("/v1/traces", b"body", PROTOBUF)
    assert await guest.say(request) == (200, False)
    assert [batch.body for batch in guest.sink.batches] == [b"body"]


async def test_pipelined_requests_are_all_served(guest: Guest) -> None:
    request = format_request("/v1/traces", b"body", PROTOBUF)
    assert await guest.say(request * 3) == (200, False)


@pytest.mark.parametrize(
    ("request_bytes", "status", "closed"),
    [
        (format_request("/etc/passwd", b"", PROTOBUF), 404, False),
        (format_request("/v1/traces/../metrics", b"", PROTOBUF), 404, False),
        (b"GET /v1/traces HTTP/1.1\r\n\r\n", 405, False),
        (format_request("/v1/traces", b"{}", "application/json"), 415, False),
        (format_request("/api/traces", b"", PROTOBUF), 415, False),
        (
            b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Encoding: br\r\nContent-Length: 0\r\n\r\n",
            415,
            False,
        ),
        (b"POST /v1/traces HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, True),
        (b"POST /v1/traces HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, True),
        (b"A" * 20_000, 431, True),
        (b"hello\r\n\r\n", 400, True),
    ],
)
async def test_a_request_over_the_limits_is_refused(
    guest: Guest, request_bytes: bytes, status: int, closed: bool
) -> None:
    assert await guest.say(request_bytes) == (status, closed)
    assert not guest.sink.batches


async def test_a_slow_guest_is_cut_off(guest: Guest) -> None:
    reader, writer = await asyncio.open_unix_connection(guest.path)
    writer.write(b"POST /v1/tr")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_one_guest_cannot_take_all_connections(
    guest: Guest, tmp_path: Path
) -> None:
    held = [await asyncio.open_unix_connection(guest.path) for _ in range(3)]
    request = format_request("/v1/traces", b"", PROTOBUF)
    for _, writer in held:
        writer.write(request)
    for reader, _ in held:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert (await guest.say(request))[0] == 503
    for _, writer in held:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b"body"), 200),
        (gzip.compress(b"body")[:-1], 413),
        (gzip.compress(bytes(10_000)), 413),
        (b"body", 400),
    ],
)
async def test_a_compressed_batch_is_unpacked_to_a_limit(
    guest: Guest, body: bytes, status: int
) -> None:
    """A small body must not unpack to a large one."""
    request = format_request("/v1/traces", body, PROTOBUF).replace(
        b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1
    )
    assert (await guest.say(request))[0] == status
    assert [it.body for it in guest.sink.batches] == [b"body"] * (status == 200)


async def test_a_hostile_guest_does_not_hinder_another(tmp_path: Path) -> None:
    """The hostile guest holds connections half-way into requests, and opens more."""
    sink = Sink()
    bad, good = Guest(tmp_path / "bad", sink), Guest(tmp_path / "good", sink)
    listeners = [await listen_unix(it.path) for it in (bad, good)]
    limits = TraceServerLimits(guest_connections=3, connections=20)
    request = format_request("/v1/traces", b"body", PROTOBUF)
    async with TraceServer(listeners, sink, limits=limits):
        held = [await asyncio.open_unix_connection(bad.path) for _ in range(12)]
        for _, writer in held:
            writer.write(request[:-1])
        # The first three stay connected; the others are told to try again.
        answers = [await reader.read(12) for reader, _ in held[3:]]
        assert answers == [b"HTTP/1.1 503"] * 9
        for _ in range(20):
            assert await good.say(request) == (200, False)
        for _, writer in held:
            writer.close()
    assert {batch.origin for batch in sink.batches} == {f"unix://{good.path}"}


async def test_all_guests_together_are_limited(tmp_path: Path) -> None:
    sink = Sink()
    guests = [Guest(tmp_path / str(n), sink) for n in range(4)]
    listeners = [await listen_unix(guest.path) for guest in guests]
    limits = TraceServerLimits(guest_connections=2, connections=3)
    request = format_request("/v1/traces", b"body", PROTOBUF)
    async with TraceServer(listeners, sink, limits=limits):
        held = []
        for guest in guests[:3]:
            reader, writer = await asyncio.open_unix_connection(guest.path)
            writer.write(request)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            held.append(writer)
        assert await guests[3].say(request) == (503, True)
        for writer in held:
            writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /v1/traces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\n: x\r\n\r\n",
        b"POST /v1/traces HTTP/9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 17_000,
    ],
)
async def test_bytes_that_are_not_a_request_are_refused_at_once(
    guest: Guest, request_bytes: bytes
) -> None:
    status, _ = await guest.say(request_bytes)
    assert 400 <= status < 600
    assert not guest.sink.batches


async def test_a_guest_that_sends_byte_by_byte_is_served_until_its_time_is_up(
    guest: Guest,
) -> None:
    request = format_request("/v1/traces", b"body", PROTOBUF)
    reader, writer = await asyncio.open_unix_connection(guest.path)
    for byte in request:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


def test_a_bomb_in_a_bomb_is_not_unpacked_twice() -> None:
    """The body has two gzip members, and the second one is the bomb."""
    bomb = gzip.compress(b"a") + gzip.compress(bytes(1 << 20))
    assert decompress(bomb, "gzip", 1000) == b"a"
