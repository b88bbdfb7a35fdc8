# SPDX-License-Identifier: Apache-2.0
"""The log on a guest port: `agent.log_vport=PORT`."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Final

from kata_agent.log.log_stream import LogStream
from kata_agent.log.stop_event import StopEvent
from kata_agent.ports.ports import Ports

RETRY_SECONDS: Final = 0.5
"""The time between two attempts to listen, because a VM's vsock device may come late,
and to accept, when descriptors or memory are used up."""


class LogPort:
    """Serves a stream on a guest port, to the reader that connected last.

    Until a reader connects, the stream keeps the last lines of the boot.
    """

    def __init__(self, stream: LogStream, ports: Ports, port: int) -> None:
        self._stream = stream
        self._ports = ports
        self._port = port
        self._accept_at = 0.0
        """Not to accept before this time of the monotonic clock."""
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
        reader = self._wait_for_reader(listener)
        while reader is not None:
            with reader:
                successor = self._send_to(reader, listener)
            reader = successor or self._wait_for_reader(listener)

    def _wait_for_reader(self, listener: socket.socket) -> socket.socket | None:
        """Return the next reader; None at the stop."""
        while not self._stop.is_set():
            if (reader := self._accept(listener, self._wait(listener))) is not None:
                return reader
        return None

    def _send_to(
        self, reader: socket.socket, listener: socket.socket
    ) -> socket.socket | None:
        """Send lines until the stop or the end of `reader`; return the next one."""
        pending = whole = b""
        try:
            while not self._stop.is_set():
                if not pending:
                    pending = whole = self._stream.take() or b""
                ready = self._wait(
                    listener,
                    (reader, select.POLLOUT if pending else 0),
                    *(() if pending else ((self._stream, select.POLLIN),)),
                )
                if (successor := self._accept(listener, ready)) is not None:
                    return successor
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

    def _wait(
        self, listener: socket.socket, *others: tuple[LogStream | socket.socket, int]
    ) -> dict[int, int]:
        """Wait for a reader, the stop and `others`; return poll events by descriptor.

        During a pause, no reader is waited for.
        """
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        for file, events in others:
            poll.register(file, events)
        pause = self._accept_at - time.monotonic()
        if pause <= 0:
            poll.register(listener, select.POLLIN)
        return dict(poll.poll(pause * 1000 if pause > 0 else None))

    def _accept(
        self, listener: socket.socket, ready: dict[int, int]
    ) -> socket.socket | None:
        """Return the reader that `ready` says is there, or None."""
        if listener.fileno() not in ready:
            return None
        try:
            reader, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None  # The reader has given up, or is not the host.
        except OSError:
            self._accept_at = time.monotonic() + RETRY_SECONDS
            return None
        reader.setblocking(False)
        return reader
