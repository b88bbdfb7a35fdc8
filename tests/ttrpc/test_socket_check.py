# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from ttrpc.socket_check import check_connected, check_listening

CHECKS = pytest.mark.parametrize("check", [check_connected, check_listening])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("")
        sock.listen()
        yield sock


def test_a_connected_stream_socket_is_one(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_connected(pair[0])
    # As in a program that has not loaded it.
    monkeypatch.delitem(sys.modules, "ssl")
    check_connected(pair[0])
    with pytest.raises(ValueError, match="^socket: does not listen$"):
        check_listening(pair[0])


def test_a_stand_in_for_ssl_makes_no_socket_tls(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the agent loads prometheus_client, `ssl` is a module of empty names."""
    stand_in = ModuleType("ssl")
    stand_in.__getattr__ = lambda name: object  # type: ignore[method-assign]  # any name
    monkeypatch.setitem(sys.modules, "ssl", stand_in)
    check_connected(pair[0])


def test_a_listening_socket_is_not_connected(listener: socket.socket) -> None:
    check_listening(listener)
    with pytest.raises(ValueError, match="^socket: listens, and is not connected$"):
        check_connected(listener)


@CHECKS
@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_a_socket_that_keeps_messages_apart_is_refused(
    kind: int, check: Callable[[socket.socket], None]
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with (
        ours,
        theirs,
        pytest.raises(
            ValueError, match="^socket: SOCK_(SEQPACKET|DGRAM) is not SOCK_STREAM"
        ),
    ):
        check(ours)


@CHECKS
def test_tls_is_refused(
    pair: tuple[socket.socket, socket.socket], check: Callable[[socket.socket], None]
) -> None:
    """Its calls would wait for bytes that the TLS layer holds already."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    wrapped = context.wrap_socket(pair[0], do_handshake_on_connect=False)
    with wrapped, pytest.raises(ValueError, match="^socket: TLS is not supported$"):
        check(wrapped)


@CHECKS
def test_a_closed_socket_is_refused(
    pair: tuple[socket.socket, socket.socket], check: Callable[[socket.socket], None]
) -> None:
    pair[0].close()
    with pytest.raises(ValueError, match="^socket: is closed$"):
        check(pair[0])
