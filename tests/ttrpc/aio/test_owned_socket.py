# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.helpers.memory_stream import memory_pair
from ttrpc.aio.owned_socket import check_connection, owned_socket
from ttrpc.aio.stream_socket import StreamSocket


async def test_a_socket_stays_what_it_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        check_connection(ours)
        assert owned_socket(ours) is ours
        assert not ours.getblocking()


async def test_a_stream_becomes_a_socket() -> None:
    ours, _ = memory_pair()
    check_connection(ours)
    sock = owned_socket(ours)
    assert isinstance(sock, StreamSocket)
    sock.close()


def test_what_has_not_all_methods_is_no_stream() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as file:
        with pytest.raises(TypeError, match="^connection: BufferedReader is neither"):
            check_connection(file)  # type: ignore[arg-type]  # a mistake


def test_a_server_of_sockets_does_not_load_the_others() -> None:
    program = """
import sys, ttrpc.aio.server, ttrpc.aio.client
late = ("byte_sender", "byte_stream", "mux", "pipes", "stream_pair", "stream_socket")
sys.exit(str([it for it in late if f"ttrpc.aio.{it}" in sys.modules] or "") or 0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
