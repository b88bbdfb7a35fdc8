# SPDX-License-Identifier: Apache-2.0
"""Real sockets on both sides; the server runs in a thread of its own."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest import hybrid_server
from kata_host.guest.hybrid_server import HybridServer
from tests.helpers.descriptors import used_up

PORT = 1024


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def test_the_socket_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server = HybridServer(tmp_path / "guest.sock", lambda port: socket.socket())
        assert stat.S_IMODE((tmp_path / "guest.sock").stat().st_mode) == 0o600
        server.close()
    finally:
        os.umask(before)


class Running:
    """A `HybridServer` in a thread, in front of one listening guest port."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "guest.sock"
        self._port = directory / "port"
        self.guest = socket.socket(socket.AF_UNIX)
        self.guest.bind(str(self._port))
        self.guest.listen(128)
        self.guest.settimeout(10)
        self.server = HybridServer(self.path, self._connect)
        self._stop, self._stopping = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _connect(self, port: int) -> socket.socket:
        if port != PORT:
            raise ConnectionRefusedError(port)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._port))
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.register(self.server, select.POLLIN)
        while True:
            ready = poll.poll(_milliseconds(self.server.patience))
            if any(fd == self._stop for fd, _ in ready):
                return
            self.server.turn(0)

    def dial(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Connect through the server; return the client's and the guest's end."""
        client = self.dial()
        client.sendall(b"CONNECT 1024\n")
        guest, _ = self.guest.accept()
        guest.settimeout(10)
        assert read_line(client).startswith(b"OK ")
        return client, guest

    def pass_two_turns(self) -> None:
        """Return when the server has closed connections that ended before this call.

        A turn closes connections in any order, so one alone does not tell.
        """
        for _ in range(2):
            with self.dial() as client:
                client.sendall(b"no command\n")
                assert client.recv(1) == b""

    def close(self) -> None:
        os.write(self._stopping, b"x")
        self._thread.join()
        self.server.close()
        self.guest.close()
        os.close(self._stop)
        os.close(self._stopping)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.close()
    assert not running.path.exists()


def read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line


def read_all(connection: socket.socket) -> bytes:
    data = bytearray()
    while chunk := connection.recv(1 << 16):
        data += chunk
    return bytes(data)


def test_the_answer_counts_connections_like_firecracker(running: Running) -> None:
    for number in range(3):
        with running.dial() as client:
            client.sendall(b"connect 1024\n")
            assert read_line(client) == b"OK %d\n" % ((1 << 30) + number)
            running.guest.accept()[0].close()
            assert read_all(client) == b""


def test_a_command_may_arrive_byte_by_byte(running: Running) -> None:
    with running.dial() as client:
        for byte in b"CONNECT 1024\n":
            client.sendall(bytes([byte]))
        assert read_line(client).startswith(b"OK ")
        running.guest.accept()[0].close()


@pytest.mark.parametrize(
    "command",
    [b"CONNECT 77\n", b"HELLO\n", b"CONNECT 1024" + b" " * 32 + b"\n", b"x" * 4096],
)
def test_a_refusal_is_a_close_without_text(running: Running, command: bytes) -> None:
    with running.dial() as client:
        client.sendall(command)
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass  # Closed before the server had read all of the command.
    client, guest = running.pair()
    client.close()
    guest.close()


def test_a_client_that_leaves_during_its_command_disturbs_no_other(
    running: Running,
) -> None:
    with running.dial() as client:
        client.sendall(b"CONN")
    client, guest = running.pair()
    client.close()
    guest.close()


def test_bytes_behind_the_command_reach_the_guest(running: Running) -> None:
    with running.dial() as client:
        client.sendall(b"CONNECT 1024\nhello")
        client.shutdown(socket.SHUT_WR)
        with running.guest.accept()[0] as guest:
            guest.settimeout(10)
            assert read_all(guest) == b"hello"
            guest.sendall(b"bye")
        assert read_line(client).startswith(b"OK ")
        assert read_all(client) == b"bye"


@pytest.mark.parametrize("ender", ["client", "guest"])
def test_a_half_close_leaves_the_other_direction_open(
    running: Running, ender: str
) -> None:
    client, guest = running.pair()
    one, other = (client, guest) if ender == "client" else (guest, client)
    with one, other:
        one.sendall(b"last words")
        one.shutdown(socket.SHUT_WR)
        assert read_all(other) == b"last words"
        for number in range(3):
            other.sendall(b"%d" % number)
            assert one.recv(10) == b"%d" % number
        other.close()
        assert read_all(one) == b""


@pytest.mark.parametrize("leaver", ["client", "guest"])
def test_bytes_sent_before_a_close_arrive_in_full(
    running: Running, leaver: str
) -> None:
    # Far more than the sockets and the chunk hold, so the server still sends when the
    # other side has closed.
    client, guest = running.pair()
    one, other = (client, guest) if leaver == "client" else (guest, client)
    data = os.urandom(1 << 20) * 4

    def send_and_leave() -> None:
        one.sendall(data)
        one.close()

    thread = threading.Thread(target=send_and_leave)
    thread.start()
    with other:
        assert hashlib.sha256(read_all(other)).digest() == hashlib.sha256(data).digest()
        # No peer is left.
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            other.sendall(bytes(1 << 26))
    thread.join()


def test_a_reader_that_stopped_reading_stops_the_sender(running: Running) -> None:
    client, guest = running.pair()
    with client, guest:
        guest.shutdown(socket.SHUT_RD)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(bytes(1 << 26))
        # The other direction still works.
        guest.sendall(b"still here")
        assert client.recv(100) == b"still here"


def test_both_directions_flow_at_once(running: Running) -> None:
    client, guest = running.pair()
    data = os.urandom(1 << 20) * 8

    def echo() -> None:
        with guest:
            while chunk := guest.recv(1 << 16):
                guest.sendall(chunk)

    def send() -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=echo), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    with client:
        assert read_all(client) == data
    for thread in threads:
        thread.join()


def test_a_stuck_connection_does_not_hold_up_another(running: Running) -> None:
    stuck, idle_guest = running.pair()
    stuck.setblocking(False)
    try:
        while True:
            stuck.send(b"x" * 65536)
    except BlockingIOError:
        pass
    client, guest = running.pair()
    with client, guest:
        client.sendall(b"ping")
        assert guest.recv(100) == b"ping"
    stuck.close()
    idle_guest.close()


def test_connections_over_the_limit_are_closed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_server, "CONNECTIONS_LIMIT", 2)
    pairs = [running.pair(), running.pair()]
    with running.dial() as third:
        assert third.recv(1) == b""
    for client, guest in pairs:
        client.close()
        guest.close()


def test_without_descriptors_clients_wait_and_the_server_rests(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_server, "ACCEPT_PAUSE", 0.02)
    turns = []
    accept = running.server._accept
    monkeypatch.setattr(
        running.server, "_accept", lambda: (turns.append(time.monotonic()), accept())
    )
    client, guest = running.pair()
    waiting = socket.socket(socket.AF_UNIX)
    with client, guest, waiting:
        turns.clear()
        with used_up():
            waiting.connect(str(running.path))
            # Those that are connected are served, and some time passes.
            while len(turns) < 3:
                client.sendall(b"ping")
                assert guest.recv(4) == b"ping"
            elapsed = turns[-1] - turns[0]
        assert elapsed > 0.9 * 2 * hybrid_server.ACCEPT_PAUSE
        waiting.sendall(b"CONNECT %d\n" % PORT)
        waiting.settimeout(10)
        assert waiting.recv(3) == b"OK "
        running.guest.accept()[0].close()


def test_the_socket_of_another_server_is_not_taken(running: Running) -> None:
    with pytest.raises(OSError, match="in use"):
        HybridServer(running.path, running._connect)


def test_many_connections_leave_no_descriptor(running: Running) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    running.pass_two_turns()
    before = descriptors()
    for _ in range(200):
        client, guest = running.pair()
        client.sendall(b"ping")
        assert guest.recv(4) == b"ping"
        guest.sendall(b"pong")
        guest.close()
        assert read_all(client) == b"pong"
        client.close()
    running.pass_two_turns()
    assert descriptors() == before
