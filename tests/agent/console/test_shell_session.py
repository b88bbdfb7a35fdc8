# SPDX-License-Identifier: Apache-2.0
"""A shell and its peer; `test_debug_console` tests the screen that a person sees."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_agent.console.framed_wire import FramedWire
from kata_agent.console.peer import peer_has_gone
from kata_agent.console.shell_session import ShellSession
from kata_agent.reaper import Reaper

PATIENCE = 20.0


@pytest.fixture
async def reaper() -> AsyncIterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def receive(connection: socket.socket, pattern: bytes) -> re.Match[bytes]:
    """Read until `pattern` matches. It must not match the echo of the input."""
    loop = asyncio.get_running_loop()
    received = b""
    async with asyncio.timeout(PATIENCE):
        while not (match := re.search(pattern, received)):
            part = await loop.sock_recv(connection, 65536)
            assert part, f"closed after {received!r}"
            received += part
    return match


async def is_gone(pid: int) -> bool:
    """Wait until the process has ended and the reaper has seen that."""
    async with asyncio.timeout(PATIENCE):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.001)
    return True


async def test_the_session_ends_with_its_shell_and_closes_its_files(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    before = open_files()
    session = ShellSession(reaper, ours.fileno(), peer_has_gone)
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(b"echo $TERM $HOME; exit\n")
    await receive(theirs, rb"xterm /root\r\n")
    await asyncio.wait_for(running, PATIENCE)
    assert open_files() == before
    # The descriptor is the caller's, and still open.
    ours.send(b"more")


async def test_a_peer_that_goes_without_an_event_is_noticed(
    reaper: Reaper,
    pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pair
    monkeypatch.setattr("kata_agent.console.shell_session.CHECK_SECONDS", 0.001)
    gone = asyncio.Event()
    session = ShellSession(reaper, ours.fileno(), lambda fd: gone.is_set())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(b"echo pid $$\n")
    pid = int((await receive(theirs, rb"pid (\d+)\r\n"))[1])
    gone.set()
    await asyncio.wait_for(running, PATIENCE)
    assert await is_gone(pid)


async def test_a_session_that_is_cancelled_kills_its_shell(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone)
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(b"trap '' HUP; echo pid $$; read x\n")
    pid = int((await receive(theirs, rb"pid (\d+)\r\n"))[1])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await is_gone(pid)


# --- in frames ---


def keys(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4) + text


def size(rows: int, columns: int) -> bytes:
    return b"\4" + b"\0\0\0\4" + rows.to_bytes(2) + columns.to_bytes(2)


async def frame(connection: socket.socket) -> tuple[int, bytes]:
    """Receive one frame."""
    loop = asyncio.get_running_loop()

    async def receive(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = await loop.sock_recv(connection, count - len(data))
            assert part, f"closed after {data!r}"
            data += part
        return data

    async with asyncio.timeout(PATIENCE):
        header = await receive(5)
        return header[0], await receive(int.from_bytes(header[1:]))


async def output_until(connection: socket.socket, pattern: bytes) -> None:
    shown = b""
    while not re.search(pattern, shown):
        kind, payload = await frame(connection)
        assert kind == 1, (kind, payload, shown)
        shown += payload


async def test_a_framed_shell_has_the_size_of_its_host_and_tells_its_status(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone, FramedWire())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(size(30, 100) + keys(b"stty size\n"))
    await output_until(theirs, rb"30 100\r\n")
    theirs.send(keys(b"trap 'stty size; exit 7' WINCH; echo rea''dy\n"))
    await output_until(theirs, rb"ready\r\n")
    # Two sizes at once, of which the last counts.
    theirs.send(size(40, 110) + size(41, 119) + keys(b"\n"))
    await output_until(theirs, rb"41 119\r\n")
    while (last := await frame(theirs))[0] == 1:
        pass
    assert last == (3, b"\0\0\0\7")
    await asyncio.wait_for(running, PATIENCE)


async def test_a_framed_shell_that_a_signal_ends_tells_128_more(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone, FramedWire())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(keys(b"kill -9 $$\n"))
    while (last := await frame(theirs))[0] == 1:
        pass
    assert last == (3, b"\0\0\0\x89")
    await asyncio.wait_for(running, PATIENCE)


async def test_the_input_of_a_framed_shell_ends_with_the_half_close(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone, FramedWire())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(keys(b"(exit 9)\n"))
    theirs.shutdown(socket.SHUT_WR)
    while (last := await frame(theirs))[0] == 1:
        pass
    assert last == (3, b"\0\0\0\x09")
    await asyncio.wait_for(running, PATIENCE)


async def test_a_peer_that_breaks_the_protocol_has_its_shell_killed(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone, FramedWire())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(b"CONNECT 1030\n")
    await asyncio.wait_for(running, PATIENCE)


async def test_a_peer_that_goes_in_the_middle_of_frames_is_let_go(
    reaper: Reaper, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    session = ShellSession(reaper, ours.fileno(), peer_has_gone, FramedWire())
    running = asyncio.create_task(session.run("/bin/sh"))
    theirs.send(keys(b"exec cat /dev/zero\n"))
    await output_until(theirs, rb"\0{4096}")
    theirs.close()
    await asyncio.wait_for(running, PATIENCE)
