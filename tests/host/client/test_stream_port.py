# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kata_host.client.stream_port import stream_port, sweep_links


def test_one_connection_is_taken_and_nothing_stays(tmp_path: Path) -> None:
    base = tmp_path / "guest.sock"
    with stream_port(f"hvsock://{base}:1024", "stdin") as port:
        assert port is not None
        assert (port.stream, port.take()) == ("stdin", None)
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(f"{base}_{port.number}")
            taken = port.take()
            assert taken is not None
            with taken:
                agent.sendall(b"x")
                assert taken.recv(9) == b"x"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "address", ["unix:///run/a.sock", "vsock://3:1024", "hvsock:///none/a.sock:1"]
)
def test_an_address_may_have_no_ports(address: str) -> None:
    with stream_port(address, "stdout") as port:
        assert port is None


def test_the_links_of_the_dead_are_swept(tmp_path: Path) -> None:
    (tmp_path / "guest.sock_1234567890").symlink_to(tmp_path / "gone/s")
    (tmp_path / "guest.sock_1234567891").symlink_to(tmp_path)
    (tmp_path / "guest.sock_of").symlink_to(tmp_path / "gone/s")
    sweep_links(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["guest.sock_1234567891", "guest.sock_of"]
