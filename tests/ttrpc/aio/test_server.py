# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import echo, nap, wait_for
from ttrpc import Closed, Limits, Peer, ServerClosed
from ttrpc.aio import Client, Server
from ttrpc.aio import server as module
from ttrpc.aio.testing import connected


async def test_a_peer_that_has_gone_already_is_not_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A vsock socket that was reset has no peer's name any more."""

    def gone(sock: socket.socket) -> Peer:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(module, "peer_of", gone)
    server = Server(services())
    ours, theirs = socket.socketpair()
    with ours:
        server.serve_connection(theirs)
        assert theirs.fileno() == -1
    assert server.connections == 0


async def test_a_peer_that_is_not_authorized_is_hung_up_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for authorize in (lambda peer: False, lambda peer: 1 / 0 > 1):
        server = Server(services(), authorize=authorize)
        async with connected(server) as client:
            with pytest.raises(Closed, match="^connection: "):
                await echo(client, b"hi")
    assert caplog.messages == ["authorize callback failed, connection refused"]


async def test_a_server_may_connect_to_its_client(tmp_path: Path) -> None:
    """As a plugin does: it dials, and the other side calls."""
    address = f"unix://{tmp_path}/a.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/a.sock")
        listener.listen()
        async with Server(services(), authorize=lambda peer: True) as server:
            connection = await server.connect(address, timeout=5)
            assert connection.peer.address == address
            assert connection.peer.credentials is not None
            assert connection.peer.credentials.pid == os.getpid()
            async with Client(listener.accept()[0]) as client:
                assert await echo(client, b"hi") == b"hi"
            assert str(await connection.wait_closed()) == (
                "connection: closed by the peer"
            )
        connection = await server.connect(address)
        assert str(connection.closed) == "connection: the server is closed"
    with pytest.raises(Closed, match="Connection refused"):
        await server.connect(address)


@pytest.mark.parametrize("answer", [1, "yes", None, object()])
async def test_a_peer_is_admitted_on_true_alone(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(services(), authorize=lambda peer: answer)  # type: ignore[arg-type, return-value]  # a mistake
    async with connected(server) as client:
        with pytest.raises(Closed):
            await echo(client, b"hi")
    assert caplog.messages == ["authorize callback failed, connection refused"]


async def test_an_authorization_cannot_be_awaited() -> None:
    """A coroutine is true, so that everybody was admitted."""

    async def nobody(peer: Peer) -> bool:
        return False

    with pytest.raises(TypeError, match=r"^authorize: .* must be a plain function$"):
        Server(services(), authorize=nobody)  # type: ignore[arg-type]  # a mistake
    server = Server(services(), authorize=lambda peer: nobody(peer))  # type: ignore[arg-type, return-value]  # a mistake
    async with connected(server) as client:
        with pytest.raises(Closed):
            await echo(client, b"hi")


async def test_a_closed_server_serves_no_connection() -> None:
    server = Server(services())
    server.close()
    async with connected(server) as client:
        with pytest.raises(Closed, match="^connection: "):
            await echo(client, b"hi")


async def test_a_socket_file_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    for end in (Server.close, Server.shutdown):
        server = Server(services())
        await server.listen(f"unix://{path}")
        assert path.is_socket()
        if (shutdown := end(server)) is not None:
            await shutdown
        assert not path.exists()


async def test_a_file_that_is_not_the_servers_stays(tmp_path: Path) -> None:
    """A file in its place, and the file of a socket that was handed over."""
    replaced, given = tmp_path / "replaced", tmp_path / "given"
    server = Server(services())
    await server.listen(f"unix://{replaced}")
    await server.listen(f"unix://@ttrpc-test-{os.getpid()}")
    replaced.rename(tmp_path / "elsewhere")
    replaced.write_text("another's")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(given))
    listener.listen()
    await server.listen(listener)
    server.close()
    assert replaced.read_text() == "another's"
    assert given.is_socket()


async def test_a_closed_server_leaves_an_address_alone(tmp_path: Path) -> None:
    server = Server(services())
    server.close()
    with pytest.raises(ServerClosed):
        await server.listen(f"unix://{tmp_path}/a.sock")
    assert not list(tmp_path.iterdir())


async def test_leaving_the_block_closes_it() -> None:
    ours, theirs = socket.socketpair()
    async with Client(ours) as client:
        async with Server(services()) as server:
            server.serve_connection(theirs)
            call = asyncio.ensure_future(nap(client, 3600))
            await wait_for(client, "Active", 1)
        assert server.calls_in_flight == server.connections == 0
        with pytest.raises(Closed):
            await call
        with pytest.raises(ServerClosed):
            await server.listen(f"unix://@ttrpc-test-{os.getpid()}")


@pytest.mark.parametrize(
    ("signals", "answered"),
    [
        ([signal.SIGTERM], True),
        ([signal.SIGINT], True),
        ([signal.SIGTERM, signal.SIGTERM], False),
        ([signal.SIGTERM, signal.SIGINT], False),
    ],
)
async def test_a_signal_drains_it_and_a_second_one_closes_it(
    signals: list[signal.Signals], answered: bool
) -> None:
    ours, theirs = socket.socketpair()
    async with Server(services()) as server, Client(ours) as client:
        server.serve_connection(theirs)
        serving = asyncio.ensure_future(server.serve_until_signal())
        call = asyncio.ensure_future(nap(client, 0.05 if answered else 3600))
        await wait_for(client, "Active", 1)
        for number in signals:
            os.kill(os.getpid(), number)
        assert await serving is answered
        await asyncio.wait([call])
        assert (call.exception() is None) is answered


async def test_it_serves_until_another_task_shuts_it_down() -> None:
    server = Server(services())
    before = signal.getsignal(signal.SIGTERM)
    serving = asyncio.ensure_future(server.serve_until_signal())
    await asyncio.sleep(0)
    assert signal.getsignal(signal.SIGTERM) is not before
    assert await server.shutdown()
    assert await serving
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_shutdown_that_another_task_cuts_short_says_so() -> None:
    ours, theirs = socket.socketpair()
    async with Server(services()) as server, Client(ours) as client:
        server.serve_connection(theirs)
        call = asyncio.ensure_future(nap(client, 3600))
        await wait_for(client, "Active", 1)
        ended = asyncio.ensure_future(server.shutdown())
        await asyncio.sleep(0)
        server.close()
        assert not await ended
        with pytest.raises(Closed):
            await call


async def test_the_log_says_that_connections_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once until there is room again, because a peer may try for ever."""
    message = "connections refused until one ends"
    async with Server(services(), limits=Limits(connections=1)) as server:
        for count in (1, 2):
            pairs = [socket.socketpair() for _ in range(4)]
            served, *refused = [server.serve_connection(it) for _, it in pairs]
            assert served.closed is None
            for connection in refused:
                assert str(connection.closed) == "connection: too many connections"
            for ours, _ in pairs:
                ours.close()
            await served.wait_closed()
            assert caplog.messages == [message] * count
