# SPDX-License-Identifier: Apache-2.0
"""Log lines on their way: bounded, counted, in order, never waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.log.stream import LogPort, LogStream, StreamWriter
from kata_agent.ports import UnixPorts

PORT = 1025


def notice(count: int) -> bytes:
    return b"lost %d\n" % count


def lines(stream: LogStream) -> list[bytes]:
    return list(iter(stream.take, None))


@pytest.fixture
def stream() -> LogStream:
    return LogStream(notice, limit=64)


class Guest:
    """The log port of a guest, and readers of it."""

    def __init__(self, base: Path) -> None:
        self.stream = LogStream(notice, limit=1 << 20)
        self.base = base
        self.port = LogPort(self.stream, UnixPorts(base), PORT)
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


def test_lines_come_in_order(stream: LogStream) -> None:
    stream.put(b"a\n")
    stream.put(b"b\n")
    assert lines(stream) == [b"a\n", b"b\n"]
    assert lines(stream) == []


def test_the_oldest_lines_go_and_are_counted(stream: LogStream) -> None:
    for number in range(20):
        stream.put(b"line %03d\n" % number)
    kept = 64 // 9
    assert lines(stream) == [
        b"lost %d\n" % (20 - kept),
        *(b"line %03d\n" % number for number in range(20 - kept, 20)),
    ]
    stream.put(b"after\n")
    assert lines(stream) == [b"after\n"]


def test_a_line_longer_than_the_limit_is_kept(stream: LogStream) -> None:
    stream.put(b"a\n")
    stream.put(b"x" * 100)
    assert lines(stream) == [b"lost 1\n", b"x" * 100]


def test_a_line_put_back_is_the_next(stream: LogStream) -> None:
    stream.put(b"a\n")
    assert stream.take() == b"a\n"
    stream.put(b"b\n")
    stream.put_back(b"a\n")
    assert lines(stream) == [b"a\n", b"b\n"]


def test_a_writer_writes_all_and_flush_waits_for_it(stream: LogStream) -> None:
    source, sink = os.pipe()
    writer = StreamWriter(stream, sink)
    stream.put(b"a\n")
    stream.put(b"b\n")
    assert stream.flush(20)
    assert os.read(source, 100) == b"a\nb\n"
    writer.close()
    os.close(source)
    os.close(sink)


def fill(pipe: int) -> int:
    """Write to a pipe until there is no room; return how much there was."""
    os.set_blocking(pipe, False)
    written = 0
    while True:
        try:
            written += os.write(pipe, b"." * 65536)
        except BlockingIOError:
            os.set_blocking(pipe, True)
            return written


def test_a_writer_that_is_stuck_holds_nobody_up(stream: LogStream) -> None:
    source, sink = os.pipe()
    filled = fill(sink)
    writer = StreamWriter(stream, sink)
    for number in range(1000):
        stream.put(b"line %03d\n" % number)
    assert not stream.flush(0.01)
    received = b""
    while b"line 999\n" not in received:
        received += os.read(source, 1 << 20)
    assert b"lost 99" in received[filled:]
    assert stream.flush(20)
    writer.close()
    os.close(source)
    os.close(sink)


def test_a_writer_outlives_a_broken_sink(stream: LogStream) -> None:
    source, sink = os.pipe()
    os.close(source)
    writer = StreamWriter(stream, sink)
    stream.put(b"into nothing\n")
    assert stream.flush(20)
    stream.put(b"still running\n")
    assert stream.flush(20)
    writer.close()
    os.close(sink)


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


def test_a_reader_that_leaves_within_a_line_misses_it_for_the_next(
    guest: Guest,
) -> None:
    long = b"x" * (1 << 19) + b"\n"
    guest.stream.put(long)
    first = guest.connect()
    assert receive(first, 10) == b"x" * 10
    first.close()
    second = guest.connect()
    assert receive(second, len(long)) == long


def test_a_reader_that_does_not_read_holds_nobody_up(guest: Guest) -> None:
    first = guest.connect()
    line = b"x" * 999 + b"\n"
    # Ten times what the stream and the socket hold.
    for _ in range(10_000):
        guest.stream.put(line)
    second = guest.connect()
    received = receive(second, 4000)
    # Which of them is told depends on who was faster, the lines or the thread.
    while part := first.recv(1 << 20):
        received += part
    assert b"lost " in received


def test_the_port_is_tried_until_it_is_there(tmp_path: Path) -> None:
    base = tmp_path / "not yet" / "g"
    guest = Guest(base)
    guest.stream.put(b"a\n")
    base.parent.mkdir()
    reader = guest.connect()
    assert receive(reader, 2) == b"a\n"
    guest.close()
