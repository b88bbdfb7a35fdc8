# SPDX-License-Identifier: Apache-2.0
"""The end of Python's logging, where lines enter the streams."""

from __future__ import annotations

import logging

from kata_agent.log.log_stream import LogStream


class LogStreamHandler(logging.Handler):
    """Puts formatted lines into streams, and waits for nothing but its own lock."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: tuple[LogStream, ...] = ()

    def add_stream(self, stream: LogStream) -> None:
        self._streams += (stream,)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode() + b"\n"
        except Exception:
            # As logging does: a traceback on stderr, and the caller goes on.
            self.handleError(record)
            return
        for stream in self._streams:
            stream.put(line)
