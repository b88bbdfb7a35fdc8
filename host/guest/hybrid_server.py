# SPDX-License-Identifier: Apache-2.0
"""The host's door to a guest: a unix socket that connects to the guest's ports.

    client  ->  CONNECT 1024\\n         the port, in decimal; either case
    client  <-  OK 1073741824\\n        somebody listens: the bytes are theirs now
    client  <-  (closed, no text)      nobody does, or the line was no command

This is the protocol of Firecracker, Cloud Hypervisor and Dragonball (Firecracker,
docs/vsock.md, "Host-Initiated Connections"). The server is one epoll loop, with
no threads and no asyncio, so that the process that holds a local guest stays
small: `HybridServer.turn` runs it once, `fileno` lets another loop wait for it.
"""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from kata_host.guest.half_close import stop_receiving

COMMAND_LIMIT: Final = 32
"""Bytes of a command, newline included; Firecracker's buffer."""
FIRST_HOST_PORT: Final = 1 << 30
"""What `OK` calls the first connection; Firecracker counts from here too."""
CONNECTIONS_LIMIT: Final = 1023
"""More are accepted and closed at once, as Firecracker does."""
BACKLOG: Final = 128
CHUNK: Final = 256 * 1024
CHUNKS_PER_TURN: Final = 16
"""What one connection may move before the others have their turn."""

_COMMAND = re.compile(rb"connect (\d{1,10})\n", re.IGNORECASE)
_EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_GONE: Final = select.EPOLLHUP | select.EPOLLERR

Connect: TypeAlias = Callable[[int], socket.socket]
"""Connects to a port of the guest, or raises `OSError`: nobody listens there."""


def parse_command(line: bytes) -> int:
    """Return the port of a `CONNECT` line; raise `ValueError` for any other line."""
    match = _COMMAND.fullmatch(line)
    if match is None:
        raise ValueError(f"hybrid vsock: not a command: {line!r}")
    port = int(match[1])
    if port >= 1 << 32:
        raise ValueError(f"hybrid vsock: not a port: {port}")
    return port


class _Flow:
    """One direction of a connection: what `source` sends reaches `sink`."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, first: bytes = b""
    ) -> None:
        self._source = source
        self._sink = sink
        self._unsent = memoryview(first)
        self._at_end = False
        self.done = False
        """The end of the source was passed on, or the sink takes no more."""

    def move(self, chunk: memoryview) -> bool:
        """Move bytes until a socket would block; return whether there may be more."""
        for _ in range(CHUNKS_PER_TURN):
            if self.done:
                return False
            try:
                if self._unsent:
                    self._send()
                elif self._at_end:
                    self._sink.shutdown(socket.SHUT_WR)
                    self.done = True
                else:
                    self._receive(chunk)
            except BlockingIOError:
                return False
            except OSError:
                self._refuse()
        return True

    def _send(self) -> None:
        sent = self._sink.send(self._unsent, socket.MSG_NOSIGNAL)
        self._unsent = self._unsent[sent:]

    def _receive(self, chunk: memoryview) -> None:
        try:
            length = self._source.recv_into(chunk)
        except ConnectionResetError:
            length = 0
        if not length:
            self._at_end = True
            return
        self._unsent = chunk[:length]
        try:
            self._send()
        finally:
            # The chunk is everybody's: what is still to be sent needs its own place.
            self._unsent = memoryview(bytes(self._unsent))

    def _refuse(self) -> None:
        """Make the source's sends fail, because nobody will read them."""
        self.done = True
        try:
            stop_receiving(self._source)
        except OSError:
            return  # It is gone as well.


class _Connection:
    """A client of the door: first its command, then the bytes of both sides."""

    def __init__(self, client: socket.socket, connect: Connect, number: int) -> None:
        self.client = client
        self.guest: socket.socket | None = None
        self.ended = False
        self._connect = connect
        self._number = number
        self._command = b""
        self._flows: list[_Flow] = []
        self._gone: set[socket.socket] = set()

    def mark_gone(self, fd: int) -> None:
        """Note that one side has closed for good: it sends and reads no more."""
        self._gone.add(
            self.client
            if self.guest is None or fd == self.client.fileno()
            else self.guest
        )

    def advance(self, chunk: memoryview) -> bool:
        """Do what can be done without waiting; return whether there may be more."""
        if self.guest is None:
            self._receive_command()
        if self.guest is None or self.ended:
            return False
        more = [flow.move(chunk) for flow in self._flows]
        to_guest, to_client = self._flows
        # A side that is gone can be sent nothing: what it sent is all there is.
        self.ended = (
            (to_guest.done and to_client.done)
            or (to_guest.done and self.client in self._gone)
            or (to_client.done and self.guest in self._gone)
        )
        return any(more)

    def _receive_command(self) -> None:
        """Read on; answer a whole command; end the connection if it cannot be one."""
        while b"\n" not in self._command:
            try:
                data = self.client.recv(COMMAND_LIMIT - len(self._command))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            # Also at the limit, where recv was asked for nothing.
            if not data:
                self.ended = True
                return
            self._command += data
        line, newline, first = self._command.partition(b"\n")
        try:
            guest = self._connect(parse_command(line + newline))
        except (ValueError, OSError):
            self.ended = True
            return
        self.guest = guest
        guest.setblocking(False)
        self._flows = [
            _Flow(self.client, guest, first),
            # The answer leads the way: no byte of the guest can overtake it.
            _Flow(guest, self.client, b"OK %d\n" % (FIRST_HOST_PORT + self._number)),
        ]


class HybridServer:
    """Listens on `path` and connects each client to the guest port it names."""

    def __init__(self, path: Path, connect: Connect) -> None:
        self._path = path
        self._connect = connect
        self._count = 0
        self._chunk = memoryview(bytearray(CHUNK))
        self._connections: dict[int, _Connection] = {}
        self._busy: set[_Connection] = set()
        self._listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        self._epoll = select.epoll()
        try:
            self._listener.bind(os.fspath(path))
            self._listener.listen(BACKLOG)
        except BaseException:
            self._listener.close()
            self._epoll.close()
            raise
        self._epoll.register(self._listener, select.EPOLLIN)

    def fileno(self) -> int:
        """The epoll descriptor: readable when `turn` has something to do."""
        return self._epoll.fileno()

    @property
    def busy(self) -> bool:
        """`turn` has work left over, though `fileno` may not be readable."""
        return bool(self._busy)

    def turn(self, timeout: float | None = None) -> None:
        """Wait for up to `timeout` seconds (None: for ever) and serve what is ready."""
        events = self._epoll.poll(0 if self._busy else timeout)
        ready, self._busy = self._busy, set()
        for fd, event in events:
            connection = self._connections.get(fd)
            if connection is None:
                continue
            if event & _GONE:
                connection.mark_gone(fd)
            ready.add(connection)
        for connection in ready:
            self._advance(connection)
        # Descriptors are closed and opened last: until here, a number in `events`
        # means what it meant to the kernel.
        for connection in ready:
            if connection.ended:
                self._remove(connection)
        if any(fd == self._listener.fileno() for fd, _ in events):
            self._accept()

    def close(self) -> None:
        """Close every connection and remove the socket."""
        for connection in set(self._connections.values()):
            self._remove(connection)
        self._listener.close()
        self._epoll.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            if len(set(self._connections.values())) >= CONNECTIONS_LIMIT:
                client.close()
                continue
            connection = _Connection(client, self._connect, self._count)
            self._count += 1
            self._connections[client.fileno()] = connection
            self._epoll.register(client, _EDGES)

    def _advance(self, connection: _Connection) -> None:
        was_waiting = connection.guest is None
        if connection.advance(self._chunk):
            self._busy.add(connection)
        if was_waiting and connection.guest is not None:
            self._connections[connection.guest.fileno()] = connection
            self._epoll.register(connection.guest, _EDGES)

    def _remove(self, connection: _Connection) -> None:
        self._busy.discard(connection)
        for side in (connection.client, connection.guest):
            if side is not None:
                self._connections.pop(side.fileno(), None)
                side.close()
