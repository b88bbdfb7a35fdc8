# SPDX-License-Identifier: Apache-2.0
"""Whether the other end of a connection is still there."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from kata_agent.console.peer import peer_has_gone

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_an_open_peer_is_there(pair: Pair) -> None:
    assert not peer_has_gone(pair[0].fileno())


def test_a_peer_that_is_done_with_sending_is_there(pair: Pair) -> None:
    pair[1].shutdown(socket.SHUT_WR)
    assert not peer_has_gone(pair[0].fileno())


def test_a_peer_that_does_not_read_is_there(pair: Pair) -> None:
    with contextlib.suppress(BlockingIOError):
        while pair[0].send(b"x" * 65536):
            pass
    assert not peer_has_gone(pair[0].fileno())


def test_a_closed_peer_has_gone(pair: Pair) -> None:
    pair[1].close()
    assert peer_has_gone(pair[0].fileno())


def test_a_tcp_peer_that_reset_the_connection_has_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with ours:
            assert not peer_has_gone(ours.fileno())
            # Closing with unread bytes resets the connection (RFC 2525, 2.17).
            ours.send(b"x")
            theirs.recv(1, socket.MSG_PEEK)
            theirs.close()
            assert peer_has_gone(ours.fileno())
