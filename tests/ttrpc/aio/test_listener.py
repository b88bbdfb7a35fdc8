# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttrpc.aio.listen import listen
from ttrpc.aio.listener import Listener

PATIENCE = 10.0


class Accepted(list[socket.socket]):
    """The connections of a listener."""

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self) < count:
                await asyncio.sleep(0)

    def close(self) -> None:
        for sock in self:
            sock.close()


@pytest.fixture
def accepted() -> Iterator[Accepted]:
    accepted = Accepted()
    yield accepted
    accepted.close()


def connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock


async def test_each_connection_is_handed_on(tmp_path: Path, accepted: Accepted) -> None:
    path = tmp_path / "a.sock"
    listener = Listener(
        await listen(f"unix://{path}"), accepted=accepted.append, owns_file=True
    )
    with connect(path), connect(path), connect(path):
        await accepted.until(3)
    listener.close()
    listener.close()
    assert not path.exists()


async def test_a_file_that_is_not_its_own_stays(
    tmp_path: Path, accepted: Accepted
) -> None:
    path = tmp_path / "a.sock"
    sock = await listen(f"unix://{path}")
    Listener(sock, accepted=accepted.append, owns_file=False).close()
    assert path.is_socket()
    assert sock.fileno() == -1


async def test_it_can_be_closed_by_a_connection(
    tmp_path: Path, accepted: Accepted
) -> None:
    path = tmp_path / "a.sock"

    def take_one(sock: socket.socket) -> None:
        accepted.append(sock)
        listener.close()

    listener = Listener(
        await listen(f"unix://{path}"), accepted=take_one, owns_file=True
    )
    with connect(path), connect(path):
        await accepted.until(1)
        await asyncio.sleep(0)
    assert len(accepted) == 1


async def test_without_file_descriptors_it_tries_again_later(
    tmp_path: Path, accepted: Accepted, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.sock"
    listener = Listener(
        await listen(f"unix://{path}"), accepted=accepted.append, owns_file=True
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connect(path):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            async with asyncio.timeout(PATIENCE):
                while not caplog.records:
                    await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await accepted.until(1)
    listener.close()
    first = caplog.records[0]
    assert first.message == "accept failed"
    assert first.exc_info is not None
    assert isinstance(first.exc_info[1], OSError)
    assert first.exc_info[1].errno == errno.EMFILE


async def test_a_listener_that_waits_to_try_again_can_be_closed(
    tmp_path: Path, accepted: Accepted, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.sock"
    listener = Listener(
        await listen(f"unix://{path}"), accepted=accepted.append, owns_file=True
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connect(path):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            async with asyncio.timeout(PATIENCE):
                while not caplog.records:
                    await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        listener.close()
    assert not path.exists()
    assert not accepted


async def test_a_socket_that_cannot_accept_is_given_up(
    tmp_path: Path, accepted: Accepted, caplog: pytest.LogCaptureFixture
) -> None:
    """A connected socket accepts nothing: EINVAL (man 2 accept)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    Listener(ours, accepted=accepted.append, owns_file=True)
    with theirs:
        theirs.send(b"x")
        async with asyncio.timeout(PATIENCE):
            while ours.fileno() >= 0:
                await asyncio.sleep(0)
    assert caplog.messages == ["accept failed"]
    assert os.listdir(tmp_path) == []
