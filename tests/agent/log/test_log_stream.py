# SPDX-License-Identifier: Apache-2.0
"""Lines in bounded memory: in order, and counted when they are dropped."""

from __future__ import annotations

import select

import pytest

from kata_agent.log.log_stream import LogStream


def notice(count: int) -> bytes:
    return b"lost %d\n" % count


def lines(stream: LogStream) -> list[bytes]:
    return list(iter(stream.take, None))


@pytest.fixture
def stream() -> LogStream:
    return LogStream(notice, limit=64)


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


def test_the_descriptor_is_readable_while_there_are_lines(stream: LogStream) -> None:
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    assert poll.poll(0) == []
    stream.put(b"a\n")
    stream.put(b"b\n")
    for _ in range(2):
        assert poll.poll(0) == [(stream.fileno(), select.POLLIN)]
        stream.take()
    assert poll.poll(0) == []


def test_flush_waits_until_a_taken_line_has_been_written(stream: LogStream) -> None:
    assert stream.flush(0)
    stream.put(b"a\n")
    stream.take()
    assert not stream.flush(0)
    stream.take()
    assert stream.flush(0)
