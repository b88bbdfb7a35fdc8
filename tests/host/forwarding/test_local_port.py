# SPDX-License-Identifier: Apache-2.0
"""A port of this host, in front of the real forwarder of an agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_agent.forward.forwarder import Forwarder
from kata_agent.ports.unix_ports import UnixPorts
from kata_host.errors import FileError
from kata_host.forwarding.guest_socket import GUEST
from kata_host.forwarding.listener import listen
from kata_host.forwarding.local_port import LocalPort
from kata_host.forwarding.published_port import PublishedPort
from kata_host.guest.guest import FORWARD_PORT
from kata_host.guest.hybrid_server import HybridServer

PATIENCE = 20.0


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a guest with a forwarder and without containers."""
    base = tmp_path / "g"
    forwarder = Forwarder(lambda _: Path("/proc/self"))
    forwarder.listen(UnixPorts(base).listen(FORWARD_PORT))
    with hybrid(base):
        yield f"hvsock://{base}:1024"
        await forwarder.close()


@contextlib.contextmanager
def hybrid(base: Path) -> Iterator[None]:
    def connect(port: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(f"{base}.d/{port}")
        except OSError:
            connection.close()
            raise
        return connection

    server = HybridServer(base, connect)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            server.turn(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer when all has come, which only an exact end tells."""
    writer.write(await reader.read())
    writer.close()


async def exchange(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Send all, end our half, and return what comes back."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(data)
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()


async def test_many_connections_at_a_time(guest: str) -> None:
    data = os.urandom(1 << 18)
    async with await asyncio.start_server(echo, "127.0.0.1") as server:
        published = PublishedPort(server.sockets[0].getsockname()[1])
        async with LocalPort(published, guest, GUEST, pytest.fail) as local:
            assert local.place == f"127.0.0.1:{local.port}"
            exchanges = (exchange(local.port, data) for _ in range(20))
            assert await asyncio.gather(*exchanges) == [data] * 20


async def test_a_unix_socket_by_ipv6(guest: str, tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    async with await asyncio.start_unix_server(echo, path):
        published = PublishedPort(str(path), address="::1")
        async with LocalPort(published, guest, GUEST, pytest.fail) as local:
            assert local.place == f"[::1]:{local.port}"
            assert await exchange(local.port, b"hi", "::1") == b"hi"


async def test_a_connection_that_is_refused_is_reset_and_told(guest: str) -> None:
    reasons: list[str] = []
    published = PublishedPort("/none")
    async with LocalPort(published, guest, GUEST, reasons.append) as local:
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await exchange(local.port, b"")
    reason = "guest: unix socket '/none': No such file or directory"
    assert reasons == [reason] * 2


async def test_the_end_of_the_block_ends_connections(
    guest: str, tmp_path: Path
) -> None:
    came = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(hold, tmp_path / "s"):
        published = PublishedPort(str(tmp_path / "s"))
        async with LocalPort(published, guest, GUEST, pytest.fail) as local:
            reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
            async with asyncio.timeout(PATIENCE):
                await came.wait()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await exchange(local.port, b"")


async def test_a_listener_that_is_given_listens_on(guest: str, tmp_path: Path) -> None:
    async with await asyncio.start_unix_server(echo, tmp_path / "s"):
        published = PublishedPort(str(tmp_path / "s"))
        with listen(published) as listener:
            port = listener.getsockname()[1]
            for data in (b"first", b"second"):
                # Before there is a block.
                waiting = asyncio.ensure_future(exchange(port, data))
                await asyncio.sleep(0)
                async with LocalPort(published, guest, GUEST, pytest.fail, listener):
                    assert await waiting == data


async def test_a_port_that_is_taken(guest: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FileError, match=f"^port {port} of 127.0.0.1: Address "):
            await LocalPort(
                PublishedPort(1, port), guest, GUEST, pytest.fail
            ).__aenter__()
