# SPDX-License-Identifier: Apache-2.0
"""Bounded memory between those who log and those who read the log.

    log calls ──► LogStream ──► StreamWriter ──► stdout
              └─► LogStream ──► LogPort ──► the newest connection to the log port

To put a line never waits. When a stream is full its oldest lines go, and a line that
says how many takes their place. Both readers are threads: stdout may be a console
that blocks, and a log must not depend on the event loop whose troubles it tells.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from kata_agent.ports import Ports

LIMIT: Final = 256 * 1024
"""Bytes that a stream holds: some thousand lines."""

RETRY_SECONDS: Final = 0.5
"""Between two attempts to listen: a VM's vsock device may come late."""


class LogStream:
    """Lines that wait for one reader. Any thread may put, one takes."""

    def __init__(self, notice: Callable[[int], bytes], limit: int = LIMIT) -> None:
        """Hold up to `limit` bytes; `notice` makes the line that tells of lost ones."""
        self._notice = notice
        self._limit = limit
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._taken = False
        # Readable while there are lines, so that a reader can wait for more than them.
        self._ready = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """A descriptor that is readable while `take` has something."""
        return self._ready

    def put(self, line: bytes) -> None:
        """Add a line, at the cost of the oldest ones when there is no room."""
        with self._changed:
            self._lines.append(line)
            self._added(line)
            while self._size > self._limit and len(self._lines) > 1:
                self._size -= len(self._lines.popleft())
                self._dropped += 1

    def put_back(self, line: bytes) -> None:
        """Return a line that was taken and reached nobody."""
        with self._changed:
            self._lines.appendleft(line)
            self._added(line)
            self._taken = False

    def _added(self, line: bytes) -> None:
        self._size += len(line)
        if len(self._lines) == 1:
            os.eventfd_write(self._ready, 1)

    def take(self) -> bytes | None:
        """Return the oldest line, or None; the line taken before has been written."""
        with self._changed:
            self._taken = bool(self._lines)
            if not self._lines:
                self._changed.notify_all()
                return None
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return self._notice(dropped)
            line = self._lines.popleft()
            self._size -= len(line)
            if not self._lines:
                os.eventfd_read(self._ready)
            return line

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until all is written; tell whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._lines and not self._taken, timeout
            )


class StreamWriter:
    """Writes a stream to a descriptor that may block."""

    def __init__(self, stream: LogStream, fd: int) -> None:
        self._stream = stream
        self._fd = fd
        self._stop = _Stop()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the line that is being written; do not wait for a stuck one."""
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
                # A console that has gone takes its lines along; the port has them.
                continue


class LogPort:
    """Serves a stream on a guest port: to one reader, the one that came last.

    Until somebody comes the stream keeps the last lines of the boot.
    """

    def __init__(self, stream: LogStream, ports: Ports, port: int) -> None:
        self._stream = stream
        self._ports = ports
        self._port = port
        self._stop = _Stop()
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
        """Send lines until the reader has gone, another has come, or the stop."""
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
            # The reader has gone in the middle: what it missed waits for the next.
            return None
        finally:
            if pending:
                self._stream.put_back(whole)
        return None


class _Stop:
    """An event that a thread can wait for together with sockets."""

    def __init__(self) -> None:
        # Never closed: the thread that waits for it may outlive its owner.
        self._fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._is_set = False

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        self._is_set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> None:
        _wait((self, select.POLLIN), timeout=timeout)


_Waitable = LogStream | _Stop | socket.socket


def _wait(
    *interests: tuple[_Waitable, int], timeout: float | None = None
) -> dict[int, int]:
    """Wait for one of the files; return the poll events by descriptor."""
    poll = select.poll()
    for file, events in interests:
        poll.register(file, events)
    return dict(poll.poll(None if timeout is None else timeout * 1000))


def _wait_for_reader(listener: socket.socket, stop: _Stop) -> socket.socket | None:
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
        # It gave up between the poll and the accept.
        return None
    reader.setblocking(False)
    return reader
