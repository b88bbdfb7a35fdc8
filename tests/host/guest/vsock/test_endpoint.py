# SPDX-License-Identifier: Apache-2.0
"""An endpoint with one end of a socket pair as the host's socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.connection import Connection, ConnectionState, Key
from kata_host.guest.vsock.endpoint import Endpoint
from kata_host.guest.vsock.packet import Shutdown


class Pair:
    """An endpoint, and the client at the other end of its socket."""

    def __init__(self) -> None:
        self.client, host = socket.socketpair()
        self.client.settimeout(10)
        host.setblocking(False)
        self.connection = Connection(Key(1, 2), ConnectionState.OPEN)
        self.endpoint = Endpoint(self.connection, host)

    def send(self, *parts: bytes) -> int:
        return self.endpoint.send([memoryview(part) for part in parts])

    def read(self, size: int = 100) -> bytes | None:
        buffer = bytearray(size)
        length = self.endpoint.read_into([memoryview(buffer)])
        return None if length is None else bytes(buffer[:length])

    def fill_socket(self) -> int:
        """Send until bytes are kept; return how many the socket took."""
        total = 0
        while not self.endpoint.has_unsent:
            total += self.send(bytes(65536))
        return total


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.client.close()
    pair.endpoint.close()


def test_bytes_for_the_host_are_sent_at_once(pair: Pair) -> None:
    assert pair.send(b"hello ", b"world") == 11
    assert pair.client.recv(100) == b"hello world"
    assert not pair.endpoint.has_unsent


def test_bytes_that_do_not_fit_are_kept_and_sent_later(pair: Pair) -> None:
    taken = pair.fill_socket()
    assert pair.send(b"kept") == 0
    received = 0
    tail = b""
    while pair.endpoint.has_unsent or received < taken:
        tail = pair.client.recv(1 << 20)
        received += len(tail)
        taken += pair.endpoint.flush()
    while not tail.endswith(b"kept"):
        tail += pair.client.recv(1 << 20)
    assert pair.endpoint.flush() == 0


def test_bytes_of_the_host_are_read_into_the_buffers(pair: Pair) -> None:
    pair.endpoint.readable = True
    pair.client.sendall(b"hello")
    assert pair.read() == b"hello"
    assert pair.endpoint.readable
    assert pair.read() is None
    assert not pair.endpoint.readable


def test_a_half_closed_host_sends_no_more_and_still_reads(pair: Pair) -> None:
    pair.client.sendall(b"last")
    pair.client.shutdown(socket.SHUT_WR)
    assert pair.read() == b"last"
    assert pair.read() == b""
    assert pair.endpoint.ended == Shutdown.SEND
    pair.send(b"answer")
    assert pair.client.recv(100) == b"answer"


def test_a_host_that_has_closed_ends_both_directions_after_its_last_bytes(
    pair: Pair,
) -> None:
    pair.client.sendall(b"last")
    pair.client.close()
    pair.endpoint.hang_up()
    assert pair.endpoint.ended == Shutdown.NOTHING
    assert pair.read() == b"last"
    assert pair.read() == b""
    assert pair.endpoint.ended == Shutdown.BOTH


def test_a_close_ends_both_at_once_if_the_guest_takes_no_more(pair: Pair) -> None:
    pair.connection.guest_shutdown = Shutdown.RECEIVE
    pair.client.sendall(b"unwanted")
    pair.client.close()
    pair.endpoint.hang_up()
    assert pair.endpoint.ended == Shutdown.BOTH


def test_bytes_for_a_host_that_reads_no_more_are_taken_and_dropped(pair: Pair) -> None:
    pair.client.shutdown(socket.SHUT_RD)
    assert pair.send(b"nobody", b" reads") == 12
    assert pair.endpoint.ended == Shutdown.RECEIVE
    assert pair.send(b"this") == 4
    assert not pair.endpoint.has_unsent


def test_a_close_with_unread_bytes_reads_as_the_end(pair: Pair) -> None:
    pair.send(b"unread")
    pair.client.close()
    assert pair.read() == b""


def test_the_guests_end_reaches_the_host_once(pair: Pair) -> None:
    pair.endpoint.end(Shutdown.SEND)
    pair.endpoint.end(Shutdown.SEND)
    assert pair.client.recv(1) == b""
    pair.client.sendall(b"still open")
    assert pair.read() == b"still open"


def test_the_guests_end_of_reading_makes_the_hosts_sends_fail(pair: Pair) -> None:
    pair.endpoint.end(Shutdown.RECEIVE)
    with pytest.raises(BrokenPipeError):
        pair.client.sendall(b"x")


def test_an_end_for_a_host_that_has_gone_is_no_error(pair: Pair) -> None:
    pair.client.close()
    pair.endpoint.end(Shutdown.BOTH)


def test_a_close_gives_the_host_an_end_and_no_error(pair: Pair) -> None:
    pair.client.sendall(b"never read")
    pair.endpoint.close()
    pair.endpoint.close()
    assert pair.client.recv(1) == b""
