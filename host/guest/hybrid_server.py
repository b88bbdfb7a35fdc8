# SPDX-License-Identifier: Apache-2.0
"""The hybrid-vsock socket of a local guest: connects clients to the guest's ports.

The protocol is in `hybrid_command.py`. The server is one epoll loop without threads and
without asyncio, so that the process that holds a local guest stays small:
`HybridServer.turn` runs the loop once, and `fileno` lets another loop wait for it.
"""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Final

from kata_host.guest.hybrid_command import (
    BACKLOG,
    CONNECTIONS_LIMIT,
    SOCKET_MODE,
)
from kata_host.guest.hybrid_connection import Connect, HybridConnection

CHUNK: Final = 256 * 1024
"""Bytes of one read."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds before clients are accepted again when no descriptor was left."""

_EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_GONE: Final = select.EPOLLHUP | select.EPOLLERR


class HybridServer:
    """Listens on `path` and connects each client to the guest's port that it names."""

    def __init__(self, path: Path, connect: Connect) -> None:
        self._path = path
        self._connect = connect
        self._count = 0
        self._chunk = memoryview(bytearray(CHUNK))
        self._connections: dict[int, HybridConnection] = {}
        """By descriptor: a connection stands here once for each of its two sides."""
        self._busy: set[HybridConnection] = set()
        self._accept_at: float | None = None
        """The time (`time.monotonic`) before which no client is accepted, because there
        were no descriptors."""
        self._listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        self._epoll = select.epoll()
        try:
            # The file gets this mode, less the umask (Linux, net/unix/af_unix.c).
            os.fchmod(self._listener.fileno(), SOCKET_MODE)
            self._listener.bind(os.fspath(path))
            self._listener.listen(BACKLOG)
        except BaseException:
            self._listener.close()
            self._epoll.close()
            raise
        self._epoll.register(self._listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Return the epoll descriptor, readable when `turn` has something to do."""
        return self._epoll.fileno()

    @property
    def patience(self) -> float | None:
        """Seconds after which `turn` has work even if `fileno` is not readable."""
        if self._busy:
            return 0
        if self._accept_at is None:
            return None
        return max(0.0, self._accept_at - time.monotonic())

    def turn(self, timeout: float | None = None) -> None:
        """Wait for up to `timeout` seconds (None: no limit) and serve ready sockets."""
        patience = self.patience
        if patience is not None and (timeout is None or patience < timeout):
            timeout = patience
        events = self._epoll.poll(timeout)
        if self._accept_at is not None and time.monotonic() >= self._accept_at:
            self._accept_at = None
            self._epoll.register(self._listener, select.EPOLLIN)
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
        # Descriptors are closed and opened after the loop over `events`, because a
        # number in `events` must still name the same socket as for the kernel.
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
            except OSError:
                # Most likely no descriptor is left; other connections will end.
                self._accept_at = time.monotonic() + ACCEPT_PAUSE
                self._epoll.unregister(self._listener)
                return
            client.setblocking(False)
            if len(set(self._connections.values())) >= CONNECTIONS_LIMIT:
                client.close()
                continue
            connection = HybridConnection(client, self._connect, self._count)
            self._count += 1
            self._connections[client.fileno()] = connection
            self._epoll.register(client, _EDGES)

    def _advance(self, connection: HybridConnection) -> None:
        was_waiting = connection.guest is None
        if connection.advance(self._chunk):
            self._busy.add(connection)
        if was_waiting and connection.guest is not None:
            self._connections[connection.guest.fileno()] = connection
            self._epoll.register(connection.guest, _EDGES)

    def _remove(self, connection: HybridConnection) -> None:
        self._busy.discard(connection)
        for side in (connection.client, connection.guest):
            if side is not None:
                self._connections.pop(side.fileno(), None)
                side.close()
