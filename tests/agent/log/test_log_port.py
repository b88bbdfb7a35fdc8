# SPDX-License-Identifier: Apache-2.0
"""The log port, with real readers of a local guest's socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_agent.log import log_port
from kata_agent.log.log_port import LogPort
from kata_agent.log.log_stream import LogStream
from kata_agent.ports.unix_ports import UnixPorts
from tests.helpers.descriptors import used_up

PORT = 1025


def notice(count: int) -> bytes:
    return b"lost %d\n" % count


class Guest:
    """The log port of a guest, and readers of it."""

    def __init__(self, base: Path, ports: UnixPorts | None = None) -> None:
        self.stream = LogStream(notice, limit=1 << 20)
        self.base = base
        self.port = LogPort(self.stream, ports or UnixPorts(base), PORT)
        self.readers: list[socket.socket] = []

    def connect(self) -> socket.socket:
        reader = socket.socket(socket.AF_UNIX)
        self.readers.append(reader)
        reader.settimeout(20)
        path = Path(f"{self.base}.d") / str(PORT)
        while True:
            try:
                reader.connect(os.fspath(path))
            except (FileNotFoundError, ConnectionRefusedError):
                # The thread is still about to listen.
                os.sched_yield()
            else:
                return reader

    def close(self) -> None:
        self.port.close()
        for reader in self.readers:
            reader.close()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path / "g")
    yield guest
    guest.close()


def receive(reader: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = reader.recv(size - len(received))
        assert part, f"closed after {received!r}"
        received += part
    return received


def test_a_reader_of_the_port_gets_the_lines_of_the_boot(guest: Guest) -> None:
    guest.stream.put(b"boot\n")
    reader = guest.connect()
    assert receive(reader, 5) == b"boot\n"
    guest.stream.put(b"later\n")
    assert receive(reader, 6) == b"later\n"


def test_the_newest_reader_has_the_port(guest: Guest) -> None:
    first = guest.connect()
    guest.stream.put(b"1\n")
    assert receive(first, 2) == b"1\n"
    second = guest.connect()
    assert first.recv(1) == b""
    guest.stream.put(b"2\n")
    assert receive(second, 2) == b"2\n"


def test_no_line_is_lost_between_two_readers(guest: Guest) -> None:
    first = guest.connect()
    guest.stream.put(b"1\n")
    assert receive(first, 2) == b"1\n"
    first.close()
    guest.stream.put(b"2\n")
    second = guest.connect()
    assert receive(second, 2) == b"2\n"


def test_a_reader_that_leaves_within_a_line_leaves_it_to_the_next(
    guest: Guest,
) -> None:
    long = b"x" * (1 << 19) + b"\n"
    guest.stream.put(long)
    first = guest.connect()
    assert receive(first, 10) == b"x" * 10
    first.close()
    second = guest.connect()
    assert receive(second, len(long)) == long


def test_a_reader_that_does_not_read_holds_up_no_log_call(guest: Guest) -> None:
    first = guest.connect()
    line = b"x" * 999 + b"\n"
    # Ten times the bytes that the stream and the socket hold.
    for _ in range(10_000):
        guest.stream.put(line)
    second = guest.connect()
    received = receive(second, 4000)
    # Either reader may get the line that counts, because the thread may be slow.
    while part := first.recv(1 << 20):
        received += part
    assert b"lost " in received


class Counted(socket.socket):
    """A listener that counts the attempts to accept."""

    attempts = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.attempts += 1
        return super().accept()


class CountedPorts(UnixPorts):
    listener: Counted

    def listen(self, port: int) -> socket.socket:
        self.listener = Counted(fileno=super().listen(port).detach())
        self.listener.setblocking(False)
        return self.listener


def test_without_descriptors_a_reader_waits_and_the_thread_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_port, "RETRY_SECONDS", 0.05)
    ports = CountedPorts(tmp_path / "g")
    guest = Guest(tmp_path / "g", ports)
    first = guest.connect()
    guest.stream.put(b"1\n")
    assert receive(first, 2) == b"1\n"
    second = socket.socket(socket.AF_UNIX)
    guest.readers.append(second)
    before, started = ports.listener.attempts, time.monotonic()
    with used_up():
        second.connect(os.fspath(tmp_path / "g.d" / str(PORT)))
        while ports.listener.attempts < before + 3:
            guest.stream.put(b"x\n")
            assert receive(first, 2) == b"x\n"
        attempts = ports.listener.attempts - before
        assert attempts <= 2 + (time.monotonic() - started) / log_port.RETRY_SECONDS
    assert first.recv(1) == b""
    guest.stream.put(b"2\n")
    assert receive(second, 2) == b"2\n"
    guest.close()


class Picky(socket.socket):
    """A listener to which every reader but the first is not the host."""

    accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self.accepted += 1
        if self.accepted > 1:
            connection.close()
            raise BlockingIOError
        return connection, address


class PickyPorts(UnixPorts):
    def listen(self, port: int) -> socket.socket:
        listener = Picky(fileno=super().listen(port).detach())
        listener.setblocking(False)
        return listener


def test_a_reader_that_is_refused_does_not_take_the_port(tmp_path: Path) -> None:
    guest = Guest(tmp_path / "g", PickyPorts(tmp_path / "g"))
    first = guest.connect()
    guest.stream.put(b"1\n")
    assert receive(first, 2) == b"1\n"
    second = guest.connect()
    assert second.recv(1) == b""
    guest.stream.put(b"2\n")
    assert receive(first, 2) == b"2\n"
    guest.close()


def test_the_port_is_tried_until_it_is_there(tmp_path: Path) -> None:
    base = tmp_path / "not yet" / "g"
    guest = Guest(base)
    guest.stream.put(b"a\n")
    base.parent.mkdir()
    reader = guest.connect()
    assert receive(reader, 2) == b"a\n"
    guest.close()
