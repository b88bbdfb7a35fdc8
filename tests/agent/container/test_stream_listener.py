# SPDX-License-Identifier: Apache-2.0
"""Streams over connections that the host makes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.container import stream_listener
from kata_agent.container.stream_listener import UNCLAIMED_LIMIT, StreamListener
from kata_agent.errors import Unavailable
from tests.helpers.domain import container_request, open_sandbox, read_all
from tests.helpers.namespace import World, in_namespaces


class Host:
    """Connects as the host does. The first two bytes stand for its port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)
        listener.setblocking(False)
        self.listener = StreamListener(self._port_of)
        self.listener.listen(listener)
        self._connections: list[socket.socket] = []

    @staticmethod
    def _port_of(connection: socket.socket) -> int:
        # The host sends them before the agent accepts the connection.
        return int.from_bytes(connection.recv(2), "big")

    def connect(self, port: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        connection.send(port.to_bytes(2, "big"))
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        self.listener.close()
        for connection in self._connections:
            connection.close()


@pytest.fixture
async def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "s")
    yield host
    host.close()


async def test_connections_are_told_apart_by_their_port(host: Host) -> None:
    first, second = host.connect(11), host.connect(12)
    for port, theirs in ((12, second), (11, first)):
        ours = await host.listener.open(port)
        theirs.send(b"x%d" % port)
        assert ours.recv(10) == b"x%d" % port
        ours.close()


async def test_a_request_may_be_first(host: Host) -> None:
    opening = asyncio.create_task(host.listener.open(11))
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="requested twice"):
        await host.listener.open(11)
    host.connect(11)
    (await opening).close()


async def test_a_connection_that_comes_as_the_caller_leaves_is_closed(
    host: Host,
) -> None:
    opening = asyncio.create_task(host.listener.open(11))
    await asyncio.sleep(0)
    theirs = host.connect(11)
    loop = asyncio.get_running_loop()
    # The loop accepts the connection, and only then gives the task its turn.
    loop.call_soon(loop.call_soon, opening.cancel)
    with pytest.raises(asyncio.CancelledError):
        await opening
    theirs.setblocking(False)
    assert await loop.sock_recv(theirs, 1) == b""


async def test_a_connection_that_does_not_come_is_an_error(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_listener, "ARRIVAL_TIMEOUT", 0.01)
    host.connect(12)
    with pytest.raises(OSError, match="no connection from the host"):
        await host.listener.open(11)
    (await host.listener.open(12)).close()


async def test_connections_that_no_request_names_are_bounded(host: Host) -> None:
    connections = [host.connect(port) for port in range(UNCLAIMED_LIMIT + 1)]
    # The host uses the port again, so it has ended the older connection.
    again = host.connect(1)
    # The agent accepts them in order, so with the last one all have arrived.
    host.connect(1000)
    (await host.listener.open(1000)).close()
    for gone in connections[:2]:
        gone.setblocking(False)
        assert gone.recv(1) == b""
    (ours := await host.listener.open(1)).send(b"y")
    again.setblocking(False)
    assert again.recv(1) == b"y"
    ours.close()


@in_namespaces("v1")
async def test_streams_flow_over_connections_of_the_hosts(world: World) -> None:
    host = Host(Path("/run/streams"))
    async with open_sandbox(streams=host.listener) as sandbox:
        stdin, stdout = host.connect(21), host.connect(22)
        request = container_request("c1", "sh", "-c", "cat; echo err >&2; exit 4")
        request.stdin_port, request.stdout_port = 21, 22
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        stdin.sendall(b"in")
        stdin.shutdown(socket.SHUT_WR)
        assert await read_all(sandbox, "c1", stderr=True) == b"err\n"
        assert await sandbox.container("c1").processes.wait("") == 4
        stdout.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(stdout, 10) == b"in"
        request.container_id, request.stdin_port, request.stdout_port = "c2", 0, 99
        with pytest.raises(Unavailable, match="stdout port 99: no connection"):
            await sandbox.create_container(request)
        assert len(os.listdir("/run/kata-containers")) == 1
    host.close()
