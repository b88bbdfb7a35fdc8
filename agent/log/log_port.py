# SPDX-License-Identifier: Apache-2.0
"""The log on a guest port: `agent.log_vport=PORT`."""

from __future__ import annotations

import select
import socket
import threading
from typing import Final

from kata_agent.log.log_stream import LogStream
from kata_agent.log.stop_event import StopEvent
from kata_agent.ports.ports import Ports

RETRY_SECONDS: Final = 0.5
"""The time between two attempts to listen: a VM's vsock device may come late."""


class LogPort:
    """Serves a stream on a guest port, to the reader that connected last.

    Until a reader connects, the stream keeps the last lines of the boot.
    """

    def __init__(self, stream: LogStream, ports: Ports, port: int) -> None:
        self._stream = stream
        self._ports = ports
        self._port = port
        self._stop = StopEvent()
        self._thread = threading.Thread(target=self._run, name="log port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                listener = self._ports.listen(self._port)
            except OSError:
                self._stop.wait(RETRY_SECONDS)
                continue
            with listener:
                self._serve(listener)

    def _serve(self, listener: socket.socket) -> None:
        reader = _wait_for_reader(listener, self._stop)
        while reader is not None:
            with reader:
                successor = self._send_to(reader, listener)
            reader = successor or _wait_for_reader(listener, self._stop)

    def _send_to(
        self, reader: socket.socket, listener: socket.socket
    ) -> socket.socket | None:
        """Send lines until the stop or the end of `reader`; return the next one."""
        pending = whole = b""
        try:
            while not self._stop.is_set():
                if not pending:
                    pending = whole = self._stream.take() or b""
                ready = _wait(
                    (reader, select.POLLOUT if pending else 0),
                    (listener, select.POLLIN),
                    (self._stop, select.POLLIN),
                    *(() if pending else ((self._stream, select.POLLIN),)),
                )
                if listener.fileno() in ready:
                    return _accept(listener)
                if ready.get(reader.fileno(), 0) & (select.POLLHUP | select.POLLERR):
                    return None
                if reader.fileno() in ready:
                    pending = pending[reader.send(pending) :]
        except OSError:
            # The reader has gone within a line, which the next reader gets whole.
            return None
        finally:
            if pending:
                self._stream.put_back(whole)
        return None


_Waitable = LogStream | StopEvent | socket.socket


def _wait(
    *interests: tuple[_Waitable, int], timeout: float | None = None
) -> dict[int, int]:
    """Wait for one of the files; return the poll events by descriptor.

    Without `timeout`, in seconds, wait as long as it takes.
    """
    poll = select.poll()
    for file, events in interests:
        poll.register(file, events)
    return dict(poll.poll(None if timeout is None else timeout * 1000))


def _wait_for_reader(listener: socket.socket, stop: StopEvent) -> socket.socket | None:
    while not stop.is_set():
        ready = _wait((listener, select.POLLIN), (stop, select.POLLIN))
        if listener.fileno() in ready:
            reader = _accept(listener)
            if reader is not None:
                return reader
    return None


def _accept(listener: socket.socket) -> socket.socket | None:
    try:
        reader, _ = listener.accept()
    except OSError:
        # The reader gave up between the poll and the accept.
        return None
    reader.setblocking(False)
    return reader
