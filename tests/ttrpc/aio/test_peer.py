# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ttrpc.aio.peer import peer_of
from ttrpc.call_context import Peer, PeerCredentials

US = PeerCredentials(os.getpid(), os.getuid(), os.getgid())


@pytest.mark.parametrize("abstract", [False, True])
def test_a_peer_on_a_unix_socket_is_known(tmp_path: Path, abstract: bool) -> None:
    path = f"@ttrpc-test-{os.getpid()}" if abstract else f"{tmp_path}/a.sock"
    name = "\0" + path[1:] if abstract else path
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        listener.bind(name)
        listener.listen()
        client.connect(name)
        with listener.accept()[0] as accepted:
            assert peer_of(accepted) == Peer(f"unix://{path}", US)


def test_a_peer_without_an_address_is_known_by_its_credentials() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer("", US)


def test_a_peer_on_another_kind_of_socket_has_no_address() -> None:
    with socket.socket(socket.AF_INET) as sock:
        assert peer_of(sock) == Peer("")
