# SPDX-License-Identifier: Apache-2.0
"""Accepting on the event loop, also while descriptors are used up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.ports import acceptor
from kata_agent.ports.acceptor import Acceptor
from tests.helpers.descriptors import used_up


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        sock.setblocking(False)
        yield sock


def client(listener: socket.socket) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(listener.getsockname())
    return connection


async def test_every_connection_is_handed_over(listener: socket.socket) -> None:
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
    door = Acceptor(listener, accepted.put_nowait)
    for number in range(2 * acceptor.BATCH):
        with client(listener) as peer, await accepted.get() as connection:
            connection.sendall(b"%d" % number)
            assert peer.recv(16) == b"%d" % number
    door.close()
    assert listener.fileno() == -1
    door.close()


async def test_without_descriptors_a_connection_waits_and_the_loop_rests(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(acceptor, "PAUSE_SECONDS", 0.01)
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
    door = Acceptor(listener, accepted.put_nowait)
    with client(listener) as peer:
        with used_up():
            while len(caplog.messages) < 3:
                await asyncio.sleep(0.001)
        (await accepted.get()).close()
        assert peer.recv(1) == b""
    assert set(caplog.messages) == {"connections wait"}
    door.close()
