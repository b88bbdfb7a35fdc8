# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from kata_host.guest.hybrid_connection import HybridConnection

CHUNK = memoryview(bytearray(4096))


class Sides:
    """A connection, the client that made it, and the guest's program."""

    def __init__(self) -> None:
        self.client, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.guest, self._guest_end = socket.socketpair()
        self.ports: list[int] = []
        self.connection = HybridConnection(theirs, self._connect, 5)
        for side in (self.client, self.guest):
            side.settimeout(10)

    def _connect(self, port: int) -> socket.socket:
        self.ports.append(port)
        if port == 1:
            raise ConnectionRefusedError
        return self._guest_end

    def advance(self) -> None:
        while self.connection.advance(CHUNK):
            pass

    def close(self) -> None:
        for each in (self.client, self.guest, self.connection.client, self._guest_end):
            each.close()


@pytest.fixture
def sides() -> Iterator[Sides]:
    sides = Sides()
    yield sides
    sides.close()


def test_a_command_in_two_parts_connects(sides: Sides) -> None:
    sides.client.sendall(b"CONNECT 10")
    sides.advance()
    assert sides.connection.guest is None
    sides.client.sendall(b"24\nhello")
    sides.advance()
    assert sides.ports == [1024]
    assert sides.guest.recv(100) == b"hello"
    assert sides.client.recv(100) == b"OK %d\n" % ((1 << 30) + 5)


@pytest.mark.parametrize("command", [b"CONNECT 1\n", b"nonsense\n", b"x" * 32])
def test_a_refused_or_invalid_command_ends_the_connection(
    sides: Sides, command: bytes
) -> None:
    sides.client.sendall(command)
    sides.advance()
    assert sides.connection.ended
    assert sides.connection.guest is None


def test_a_client_that_leaves_before_its_command_ends_the_connection(
    sides: Sides,
) -> None:
    sides.client.close()
    sides.advance()
    assert sides.connection.ended


def test_it_ends_when_both_directions_have_ended(sides: Sides) -> None:
    sides.client.sendall(b"CONNECT 1024\n")
    sides.advance()
    sides.client.shutdown(socket.SHUT_WR)
    sides.advance()
    assert not sides.connection.ended
    sides.guest.shutdown(socket.SHUT_WR)
    sides.advance()
    assert sides.connection.ended


@pytest.mark.parametrize("leaver", ["client", "guest"])
def test_it_ends_after_the_last_bytes_of_a_side_that_is_gone(
    sides: Sides, leaver: str
) -> None:
    sides.client.sendall(b"CONNECT 1024\n")
    sides.advance()
    assert sides.client.recv(100).startswith(b"OK")
    assert sides.connection.guest is not None
    gone, other = sides.client, sides.guest
    inner = sides.connection.client
    if leaver == "guest":
        gone, other, inner = other, gone, sides.connection.guest
    gone.sendall(b"last")
    fd = inner.fileno()
    gone.close()
    sides.connection.mark_gone(fd)
    sides.advance()
    assert sides.connection.ended
    assert other.recv(100) == b"last"
