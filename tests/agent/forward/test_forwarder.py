# SPDX-License-Identifier: Apache-2.0
"""The forwarder's port, as the host meets it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.forward import forwarder as forwarder_module
from kata_agent.forward.forwarder import Forwarder
from kata_agent.ports.unix_ports import UnixPorts

PORT = 1028
PATIENCE = 20.0


def proc_of(container_id: str) -> Path:
    if container_id not in ("", "a1"):
        raise InvalidArgument(f"container {container_id!r}: not found")
    return Path("/proc/self")


@pytest.fixture
async def forwarder(tmp_path: Path) -> AsyncIterator[Forwarder]:
    served = Forwarder(proc_of)
    served.listen(UnixPorts(tmp_path / "g").listen(PORT))
    yield served
    await served.close()


def connected(tmp_path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{tmp_path}/g.d/{PORT}")
    connection.setblocking(False)
    return connection


async def rest(connection: socket.socket) -> bytes:
    data = b""
    async with asyncio.timeout(PATIENCE):
        while part := await asyncio.get_running_loop().sock_recv(connection, 65536):
            data += part
    return data


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer when all has come, which only an exact end tells."""
    writer.write(await reader.read())
    writer.close()


@pytest.mark.parametrize("container", ["-", "a1"])
@pytest.mark.usefixtures("forwarder")
async def test_bytes_and_ends_both_ways(tmp_path: Path, container: str) -> None:
    data = os.urandom(1 << 20)
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(echo, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with connected(tmp_path) as connection:
            # The request comes in parts, and bytes come before the answer.
            await loop.sock_sendall(connection, b"FORWARD " + container.encode())
            await asyncio.sleep(0)
            await loop.sock_sendall(connection, b" tcp:%d\nearly" % port)
            await loop.sock_sendall(connection, data)
            connection.shutdown(socket.SHUT_WR)
            assert await rest(connection) == b"OK\nearly" + data


@pytest.mark.usefixtures("forwarder")
async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    async with await asyncio.start_unix_server(echo, path):
        with connected(tmp_path) as connection:
            connection.send(f"FORWARD - unix:{path}\nhello".encode())
            connection.shutdown(socket.SHUT_WR)
            assert await rest(connection) == b"OK\nhello"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"", b"ERROR request: not one line\n"),
        (b"FORWARD - tcp:80", b"ERROR request: not one line\n"),
        (b"GET / HTTP/1.1\r\n", b"ERROR request: not 'FORWARD CONTAINER TARGET'\n"),
        (b"FORWARD bb tcp:80\n", b"ERROR container 'bb': not found\n"),
        (b"x" * 8192, b"ERROR request: not one line\n"),
        (
            b"FORWARD - unix:/none/a\r\n",
            b"ERROR guest: unix socket '/none/a\\r': No such file or directory\n",
        ),
    ],
)
@pytest.mark.usefixtures("forwarder")
async def test_all_that_cannot_be_is_one_line_and_the_end(
    tmp_path: Path, request_: bytes, answer: bytes
) -> None:
    with connected(tmp_path) as connection:
        connection.send(request_)
        if not request_.endswith(b"\n"):
            connection.shutdown(socket.SHUT_WR)
        assert await rest(connection) == answer


@pytest.mark.usefixtures("forwarder")
async def test_a_host_that_asks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder_module, "REQUEST_TIMEOUT", 0.01)
    with connected(tmp_path) as connection:
        assert await rest(connection) == b"ERROR request: not sent in 0.01 s\n"


@pytest.mark.usefixtures("forwarder")
async def test_the_connections_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarder_module, "CONNECTION_LIMIT", 1)
    with connected(tmp_path) as first:
        with connected(tmp_path) as second:
            assert await rest(second) == b"ERROR over 1 connections\n"
        first.shutdown(socket.SHUT_WR)
        assert (await rest(first)).startswith(b"ERROR request: ")
    with connected(tmp_path) as third:
        third.send(b"\n")
        assert (await rest(third)).startswith(b"ERROR request: ")


async def test_the_end_of_the_agent_ends_connections(
    tmp_path: Path, forwarder: Forwarder
) -> None:
    path = tmp_path / "s"
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listener, connected(tmp_path) as connection:
        listener.bind(os.fspath(path))
        listener.listen()
        connection.send(f"FORWARD - unix:{path}\n".encode())
        async with asyncio.timeout(PATIENCE):
            assert await loop.sock_recv(connection, 9) == b"OK\n"
        program, _ = listener.accept()
        with program:
            program.setblocking(False)
            await forwarder.close()
            assert await rest(connection) == await rest(program) == b""
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
        late.connect(f"{tmp_path}/g.d/{PORT}")
