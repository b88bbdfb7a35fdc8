# SPDX-License-Identifier: Apache-2.0
"""The thread that writes the log to stdout."""

from __future__ import annotations

import os
import select
import threading

from kata_agent.log.log_stream import LogStream
from kata_agent.log.stop_event import StopEvent


class StreamWriter:
    """Writes a stream to a descriptor that may block."""

    def __init__(self, stream: LogStream, fd: int) -> None:
        self._stream = stream
        self._fd = fd
        self._stop = StopEvent()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the current line; do not wait for a console that blocks."""
        self._stop.set()
        self._thread.join(timeout=0.1)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        while not self._stop.is_set():
            line = self._stream.take()
            if line is None:
                poll.poll()
                continue
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:
                # A console that has gone loses its lines; the log port still has them.
                continue
