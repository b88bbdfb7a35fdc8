# SPDX-License-Identifier: Apache-2.0
"""Masters of terminals that arrive over a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from kata_agent.container import console_socket
from kata_agent.container.console_socket import ConsoleSocket
from kata_agent.errors import Timeout


async def test_a_descriptor_arrives_and_is_not_inherited(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with ConsoleSocket(tmp_path) as console, socket.socket(socket.AF_UNIX) as runtime:
        runtime.connect(str(console.path))
        receiving = asyncio.create_task(console.receive())
        socket.send_fds(runtime, [b"/dev/pts/0"], [master])
        received = await receiving
    assert received != master
    assert os.path.sameopenfile(received, master)
    assert not os.get_inheritable(received)
    for fd in (master, slave, received):
        os.close(fd)


async def test_a_message_without_a_descriptor_is_an_error(tmp_path: Path) -> None:
    with ConsoleSocket(tmp_path) as console, socket.socket(socket.AF_UNIX) as runtime:
        runtime.connect(str(console.path))
        runtime.send(b"/dev/pts/0")
        with pytest.raises(ConnectionError, match="no descriptor"):
            await console.receive()


async def test_a_runtime_that_sends_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_socket, "ARRIVAL_TIMEOUT", 0.01)
    with ConsoleSocket(tmp_path) as console:
        with pytest.raises(Timeout, match="terminal: not sent by the runtime"):
            await console.receive()


async def test_the_sockets_have_names_of_their_own_and_go(tmp_path: Path) -> None:
    directory = tmp_path / "sockets"
    with ConsoleSocket(directory) as first, ConsoleSocket(directory) as second:
        assert first.path != second.path
        assert directory.stat().st_mode & 0o777 == 0o700
    assert list(directory.iterdir()) == []
