# SPDX-License-Identifier: Apache-2.0
"""Ports of a local guest, on real unix sockets."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from kata_agent.ports.unix_ports import UnixPorts


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "guest.sock"


def test_a_guest_port_is_a_socket_in_the_directory_beside(base: Path) -> None:
    with (
        UnixPorts(base).listen(1024),
        socket.socket(socket.AF_UNIX) as host,
    ):
        host.connect(f"{base}.d/1024")
    assert stat.S_IMODE(Path(f"{base}.d").stat().st_mode) == 0o700


def test_listening_replaces_the_socket_of_an_agent_that_is_gone(base: Path) -> None:
    UnixPorts(base).listen(1024).close()
    UnixPorts(base).listen(1024).close()


def test_listening_does_not_block(base: Path) -> None:
    with UnixPorts(base).listen(1025) as listener, pytest.raises(BlockingIOError):
        listener.accept()


def test_connects_to_the_host_port(base: Path) -> None:
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(f"{base}_10240")
        host.listen()
        with UnixPorts(base).connect(10240, timeout=1) as guest:
            accepted, _ = host.accept()
            with accepted:
                guest.sendall(b"spans")
                assert accepted.recv(16) == b"spans"


def test_a_host_port_without_listener_is_an_error(base: Path) -> None:
    with pytest.raises(FileNotFoundError):
        UnixPorts(base).connect(10240, timeout=1)
