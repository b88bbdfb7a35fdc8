# SPDX-License-Identifier: Apache-2.0
"""Connections to ports of a host, which are unix sockets here."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from kata_agent.container.stream_dialer import StreamDialer
from kata_agent.ports.unix_ports import UnixPorts


async def test_a_port_is_dialled(tmp_path: Path) -> None:
    base = tmp_path / "host"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{base}_2001")
        listener.listen()
        dialling = asyncio.create_task(StreamDialer(UnixPorts(base)).open(2001))
        ours = await dialling
        theirs, _ = listener.accept()
        with ours, theirs:
            ours.sendall(b"x")
            assert theirs.recv(10) == b"x"


async def test_a_port_without_a_listener_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await StreamDialer(UnixPorts(tmp_path / "host")).open(2001)
