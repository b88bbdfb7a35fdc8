# SPDX-License-Identifier: Apache-2.0
"""The door is driven with real sockets, the server in a thread of its own."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest import hybrid_server
from kata_host.guest.hybrid_server import HybridServer, parse_command

PORT = 1024


class Door:
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
            ready = poll.poll(0 if self.server.busy else None)
            if any(fd == self._stop for fd, _ in ready):
                return
            self.server.turn(0)

    def dial(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Connect through the door; return the client's and the guest's end."""
        client = self.dial()
        client.sendall(b"CONNECT 1024\n")
        guest, _ = self.guest.accept()
        guest.settimeout(10)
        assert read_line(client).startswith(b"OK ")
        return client, guest

    def close(self) -> None:
        os.write(self._stopping, b"x")
        self._thread.join()
        self.server.close()
        self.guest.close()
        os.close(self._stop)
        os.close(self._stopping)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.close()
    assert not door.path.exists()


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


@pytest.mark.parametrize(
    ("line", "port"),
    [
        (b"CONNECT 1024\n", 1024),
        (b"connect 10240\n", 10240),
        (b"Connect 0\n", 0),
        (b"CONNECT 4294967295\n", (1 << 32) - 1),
    ],
)
def test_a_command_names_a_port(line: bytes, port: int) -> None:
    assert parse_command(line) == port


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"CONNECT\n",
        b"CONNECT \n",
        b"CONNECT -1\n",
        b"CONNECT 0x10\n",
        b"CONNECT 1024",
        b"CONNECT 1024 keep\n",
        b"CONNECT 4294967296\n",
        b"CONNECT 99999999999\n",
        "CONNECT \N{ARABIC-INDIC DIGIT ONE}\n".encode(),
        b"LISTEN 1024\n",
        b"\xff\xff\n",
    ],
)
def test_other_lines_are_no_commands(line: bytes) -> None:
    with pytest.raises(ValueError, match="hybrid vsock"):
        parse_command(line)


def test_the_answer_counts_connections_like_firecracker(door: Door) -> None:
    for number in range(3):
        with door.dial() as client:
            client.sendall(b"connect 1024\n")
            assert read_line(client) == b"OK %d\n" % ((1 << 30) + number)
            door.guest.accept()[0].close()
            assert read_all(client) == b""


def test_a_command_may_arrive_byte_by_byte(door: Door) -> None:
    with door.dial() as client:
        for byte in b"CONNECT 1024\n":
            client.sendall(bytes([byte]))
        assert read_line(client).startswith(b"OK ")
        door.guest.accept()[0].close()


@pytest.mark.parametrize(
    "command",
    [b"CONNECT 77\n", b"HELLO\n", b"CONNECT 1024" + b" " * 32 + b"\n", b"x" * 4096],
)
def test_a_refusal_is_a_close_without_text(door: Door, command: bytes) -> None:
    with door.dial() as client:
        client.sendall(command)
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass  # It was closed before all of the command had been read.
    client, guest = door.pair()
    client.close()
    guest.close()


def test_a_client_that_leaves_during_its_command_disturbs_nobody(door: Door) -> None:
    with door.dial() as client:
        client.sendall(b"CONN")
    client, guest = door.pair()
    client.close()
    guest.close()


def test_bytes_behind_the_command_reach_the_guest(door: Door) -> None:
    with door.dial() as client:
        client.sendall(b"CONNECT 1024\nhello")
        client.shutdown(socket.SHUT_WR)
        with door.guest.accept()[0] as guest:
            guest.settimeout(10)
            assert read_all(guest) == b"hello"
            guest.sendall(b"bye")
        assert read_line(client).startswith(b"OK ")
        assert read_all(client) == b"bye"


@pytest.mark.parametrize("ender", ["client", "guest"])
def test_a_half_close_leaves_the_other_direction_open(door: Door, ender: str) -> None:
    client, guest = door.pair()
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
def test_what_was_sent_before_a_close_arrives_in_full(door: Door, leaver: str) -> None:
    # Far more than the sockets and the chunk hold, so the door must still be
    # sending when the other side has long gone.
    client, guest = door.pair()
    one, other = (client, guest) if leaver == "client" else (guest, client)
    data = os.urandom(1 << 20) * 4

    def send_and_leave() -> None:
        one.sendall(data)
        one.close()

    thread = threading.Thread(target=send_and_leave)
    thread.start()
    with other:
        assert hashlib.sha256(read_all(other)).digest() == hashlib.sha256(data).digest()
        # There is nobody to answer any more.
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            other.sendall(bytes(1 << 26))
    thread.join()


def test_a_reader_that_stopped_reading_stops_the_sender(door: Door) -> None:
    client, guest = door.pair()
    with client, guest:
        guest.shutdown(socket.SHUT_RD)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(bytes(1 << 26))
        # The other direction is as it was.
        guest.sendall(b"still here")
        assert client.recv(100) == b"still here"


def test_both_directions_flow_at_once(door: Door) -> None:
    client, guest = door.pair()
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


def test_a_stuck_connection_does_not_hold_up_another(door: Door) -> None:
    stuck, idle_guest = door.pair()
    stuck.setblocking(False)
    try:
        while True:
            stuck.send(b"x" * 65536)
    except BlockingIOError:
        pass
    client, guest = door.pair()
    with client, guest:
        client.sendall(b"ping")
        assert guest.recv(100) == b"ping"
    stuck.close()
    idle_guest.close()


def test_connections_over_the_limit_are_closed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hybrid_server, "CONNECTIONS_LIMIT", 2)
    pairs = [door.pair(), door.pair()]
    with door.dial() as third:
        assert third.recv(1) == b""
    for client, guest in pairs:
        client.close()
        guest.close()


def test_the_socket_of_another_server_is_not_taken(door: Door) -> None:
    with pytest.raises(OSError, match="in use"):
        HybridServer(door.path, door._connect)


def test_many_connections_leave_no_descriptor(door: Door) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    client, guest = door.pair()
    client.close()
    assert read_all(guest) == b""
    guest.close()
    before = descriptors()
    for _ in range(200):
        client, guest = door.pair()
        client.sendall(b"ping")
        assert guest.recv(4) == b"ping"
        guest.sendall(b"pong")
        guest.close()
        assert read_all(client) == b"pong"
        client.close()
    # The door is one thread: once it has answered this, it has closed those.
    client, guest = door.pair()
    client.close()
    assert read_all(guest) == b""
    guest.close()
    assert descriptors() <= before
