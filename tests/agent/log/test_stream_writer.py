# SPDX-License-Identifier: Apache-2.0
"""The thread that writes the log, to pipes that are read, full or broken."""

from __future__ import annotations

import os

import pytest

from kata_agent.log.log_stream import LogStream
from kata_agent.log.stream_writer import StreamWriter


def notice(count: int) -> bytes:
    return b"lost %d\n" % count


@pytest.fixture
def stream() -> LogStream:
    return LogStream(notice, limit=64)


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


def test_a_writer_that_is_stuck_holds_up_no_log_call(stream: LogStream) -> None:
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
