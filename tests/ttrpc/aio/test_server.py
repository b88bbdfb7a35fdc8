# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import echo
from ttrpc import Closed, Peer, ServerClosed
from ttrpc.aio import Server
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
