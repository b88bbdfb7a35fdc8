# SPDX-License-Identifier: Apache-2.0
"""The debug console, with real shells on real terminals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_agent.console import debug_console, shell_session
from kata_agent.console.debug_console import DebugConsole
from kata_agent.console.pump import Pump
from kata_agent.linux.spawn import Command
from kata_agent.ports.unix_ports import UnixPorts
from kata_agent.reaper import Reaper
from kata_host.guest.hybrid_server import HybridServer

PORT = 1026
PATIENCE = 20.0


class Host:
    """The host's side of a guest whose console is on `PORT`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.ports = UnixPorts(base)

    async def connect(self) -> Peer:
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(f"{self.base}.d/{PORT}")
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                await asyncio.sleep(0)
            else:
                return Peer(connection)


class Peer:
    """A person at the console."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setblocking(False)
        self.seen = b""

    def type(self, text: str) -> None:
        self.connection.send(text.encode())

    async def until(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` matches, and drop the output up to its end."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while True:
                text = self.seen.decode(errors="replace")
                if match := re.search(pattern, text):
                    self.seen = self.seen[len(text[: match.end()].encode()) :]
                    return match
                part = await loop.sock_recv(self.connection, 65536)
                assert part, f"closed after {self.seen!r}"
                self.seen += part

    async def rest(self) -> str:
        """Read to the end."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while part := await loop.sock_recv(self.connection, 65536):
                self.seen += part
        return self.seen.decode()

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
async def reaper() -> AsyncIterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
async def host(reaper: Reaper, tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path / "g")
    served = DebugConsole(reaper, ("/bin/sh",))
    served.serve_port(host.ports, PORT)
    yield host
    await served.close()


async def is_gone(pid: int) -> bool:
    """Wait until process `pid` has ended and its parent has reaped it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            await asyncio.sleep(0.001)


async def test_a_shell_on_a_terminal(host: Host) -> None:
    peer = await host.connect()
    peer.type("echo $((6*7)); tty; stty size\n")
    await peer.until(r"42\r\n/dev/pts/\d+\r\n24 80\r\n")
    peer.close()


async def test_it_has_job_control_and_signals(host: Host) -> None:
    peer = await host.connect()
    peer.type("PS1='next> '; cat\n")
    peer.type("typed\n")
    # The terminal echoes the line, cat writes it; a prompt may be in between.
    await peer.until(r"typed\r\n.*typed\r\n")
    peer.type("\x03")
    # Before the prompt, the shell may still drop input.
    await peer.until(r"\^C\s*next> ")
    peer.type("echo cat was $?\n")
    await peer.until("cat was 130")
    peer.close()


async def test_exit_ends_the_connection_after_all_output(host: Host) -> None:
    peer = await host.connect()
    peer.type("stty -echo; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo n$i; done;")
    peer.type(" exit\n")
    assert "n20000\r\n" in await peer.rest()
    peer.close()


async def test_two_at_a_time(host: Host) -> None:
    first, second = await host.connect(), await host.connect()
    first.type("echo shell $$\n")
    second.type("echo shell $$\n")
    pids = {(await peer.until(r"shell (\d+)"))[1] for peer in (first, second)}
    assert len(pids) == 2
    first.close()
    second.type("echo again $((1 + 1))\n")
    await second.until("again 2")
    second.close()


async def test_a_hang_up_ends_the_shell_and_its_session(host: Host) -> None:
    peer = await host.connect()
    peer.type("trap '' HUP; sleep 1000 & echo pids $$ $!\n")
    pids = await peer.until(r"pids (\d+) (\d+)")
    peer.close()
    for pid in pids.groups():
        assert await is_gone(int(pid))


async def test_a_hang_up_in_the_middle_of_output(host: Host) -> None:
    peer = await host.connect()
    peer.type("echo pid $$; exec yes\n")
    pid = await peer.until(r"pid (\d+)")
    peer.close()
    assert await is_gone(int(pid[1]))


async def test_a_hang_up_behind_input_that_is_never_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_session, "CHECK_SECONDS", 0.01)
    peer = await host.connect()
    peer.type("stty raw -echo; echo pid $$; exec sleep 1000\n")
    pid = await peer.until(r"pid (\d+)")
    with contextlib.suppress(BlockingIOError):
        for _ in range(1000):
            peer.connection.send(b"x" * 65536)
    peer.close()
    assert await is_gone(int(pid[1]))


async def test_a_peer_that_is_done_with_sending_gets_the_output(host: Host) -> None:
    peer = await host.connect()
    peer.type("sleep 0.1; echo the end $((1 + 1))\n")
    peer.connection.shutdown(socket.SHUT_WR)
    assert "the end 2\r\n" in await peer.rest()
    peer.close()


async def test_bash_sees_the_end_of_input_though_it_was_busy(
    reaper: Reaper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line editor of bash may not see input that came while a command ran."""
    monkeypatch.setattr(shell_session, "CHECK_SECONDS", 0.05)
    host = Host(tmp_path / "g")
    served = DebugConsole(reaper, ("/bin/bash",))
    served.serve_port(host.ports, PORT)
    peer = await host.connect()
    peer.type("sleep 0.1; echo the end $((1 + 1))\n")
    peer.connection.shutdown(socket.SHUT_WR)
    assert "the end 2" in await peer.rest()
    peer.close()
    await served.close()


async def test_bytes_are_exact(host: Host) -> None:
    peer = await host.connect()
    peer.type("stty raw -echo; echo ready; exec head -c 300000\n")
    await peer.until(r"ready\n")
    content = bytes(range(256)) * 1200
    content = content[:300_000]
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(peer.connection, content))
    async with asyncio.timeout(PATIENCE):
        received = peer.seen
        while part := await loop.sock_recv(peer.connection, 65536):
            received += part
        await sending
    assert received == content
    peer.close()


async def test_there_may_be_no_shell(
    reaper: Reaper, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path / "g")
    served = DebugConsole(reaper, ("/no/bash", "/no/sh"))
    served.serve_port(host.ports, PORT)
    peer = await host.connect()
    assert await peer.rest() == ""
    assert "debug console: no shell" in caplog.messages
    peer.close()
    await served.close()


async def test_sessions_are_bounded(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug_console, "SESSION_LIMIT", 1)
    first = await host.connect()
    first.type("echo hello\n")
    await first.until("hello")
    second = await host.connect()
    assert await second.rest() == ""
    for peer in (first, second):
        peer.close()


async def test_closing_ends_every_shell(reaper: Reaper, tmp_path: Path) -> None:
    host = Host(tmp_path / "g")
    served = DebugConsole(reaper, ("/bin/sh",))
    served.serve_port(host.ports, PORT)
    peer = await host.connect()
    peer.type("echo pid $$\n")
    pid = await peer.until(r"pid (\d+)")
    await served.close()
    assert await is_gone(int(pid[1]))
    peer.close()


async def test_the_port_may_come_late(
    reaper: Reaper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug_console, "RETRY_SECONDS", 0.01)
    host = Host(tmp_path / "late" / "g")
    served = DebugConsole(reaper, ("/bin/sh",))
    served.serve_port(host.ports, PORT)
    await asyncio.sleep(0)
    (tmp_path / "late").mkdir()
    peer = await host.connect()
    peer.type("echo here $((1 + 1))\n")
    await peer.until("here 2")
    peer.close()
    await served.close()


async def test_the_serial_console_has_one_shell_after_the_other(
    reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug_console, "RETRY_SECONDS", 0.01)
    master, slave = os.openpty()
    served = DebugConsole(reaper, ("/bin/sh",))
    served.serve_terminal(Path(os.ttyname(slave)))
    # A socket takes the place of the screen, so that `Peer` can read it.
    pumped, end = socket.socketpair()
    end.setblocking(False)
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    pumps = [
        Pump(loop, *fds, lambda is_broken: None)
        for fds in ((master, end.fileno()), (end.fileno(), master))
    ]
    peer = Peer(pumped)
    for _ in range(2):
        peer.type("echo pid $$; exit\n")
        pid = await peer.until(r"pid (\d+)")
        assert await is_gone(int(pid[1]))
    await served.close()
    for pump in pumps:
        pump.stop()
    peer.close()
    end.close()
    for fd in (master, slave):
        os.close(fd)


@pytest.fixture
def door(host: Host) -> Iterator[Path]:
    """The socket that a VMM would have on the host."""

    def connect(port: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(f"{host.base}.d/{port}")
        except OSError:
            connection.close()
            raise
        return connection

    server = HybridServer(host.base, connect)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            server.turn(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    yield host.base
    stop.set()
    thread.join()
    server.close()


async def test_the_recipe_of_kata(reaper: Reaper, host: Host, door: Path) -> None:
    """`socat stdin unix-connect:SOCKET`, then the line `CONNECT 1026`."""
    if shutil.which("socat") is None:
        if os.environ.get("CI"):
            pytest.fail("needs socat")
        pytest.skip("needs socat")
    (await host.connect()).close()
    master, slave = os.openpty()
    socat = reaper.spawn(
        Command(
            ["socat", "stdin,raw,echo=0", f"unix-connect:{door}"],
            terminal=os.ttyname(slave),
        )
    )
    os.close(slave)
    os.set_blocking(master, False)
    screen = b""
    loop = asyncio.get_running_loop()

    async def until(pattern: bytes) -> None:
        nonlocal screen
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, screen):
                readable: asyncio.Future[None] = loop.create_future()
                loop.add_reader(master, readable.set_result, None)
                await readable
                loop.remove_reader(master)
                screen += os.read(master, 65536)

    os.write(master, b"CONNECT 1026\n")
    await until(rb"OK \d+\n")
    os.write(master, b"echo $((40+2))\n")
    await until(rb"42\r\n")
    os.write(master, b"exit\n")
    assert await asyncio.wait_for(socat.wait(), PATIENCE) == 0
    os.close(master)
