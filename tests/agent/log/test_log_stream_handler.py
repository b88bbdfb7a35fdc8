# SPDX-License-Identifier: Apache-2.0
"""The handler that puts formatted lines into streams."""

from __future__ import annotations

import logging

import pytest

from kata_agent.log.log_stream import LogStream
from kata_agent.log.log_stream_handler import LogStreamHandler


def notice(count: int) -> bytes:
    return b"lost %d\n" % count


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, "", 0, message, args, None)


def test_every_stream_gets_the_line() -> None:
    handler = LogStreamHandler()
    streams = [LogStream(notice), LogStream(notice)]
    for stream in streams:
        handler.add_stream(stream)
    handler.handle(record("a %s", "b"))
    assert [stream.take() for stream in streams] == [b"a b\n", b"a b\n"]


def test_a_line_that_cannot_be_formatted_does_not_raise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = LogStreamHandler()
    stream = LogStream(notice)
    handler.add_stream(stream)
    handler.handle(record("%d", "no number"))
    assert stream.take() is None
    assert "TypeError" in capsys.readouterr().err
