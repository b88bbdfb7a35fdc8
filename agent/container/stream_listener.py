# SPDX-License-Identifier: Apache-2.0
"""Stream connections that the host makes, before it asks for them.

With `agent.passfd_listener_port=PORT` the host connects to PORT in the guest once for
each stream, and the request names each stream by the host's own port of that
connection. Kata's runtime-rs does so with Dragonball, and calls this pass-through of
descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from kata_agent.ports.acceptor import Acceptor

log = logging.getLogger(__name__)

ARRIVAL_TIMEOUT: Final = 3.0
"""Seconds by which a request may precede its connections."""
UNCLAIMED_LIMIT: Final = 64
"""Connections that wait for their request, at most; the oldest are closed."""


def peer_port(connection: socket.socket) -> int:
    """Return the host's port of a vsock connection (man 7 vsock)."""
    _, port = connection.getpeername()
    return int(port)


class StreamListener:
    """Accepts connections and hands them out by the host's port."""

    def __init__(self, port_of: Callable[[socket.socket], int] = peer_port) -> None:
        self._acceptor: Acceptor | None = None
        self._port_of = port_of
        self._unclaimed: dict[int, socket.socket] = {}
        self._waiting: dict[int, asyncio.Future[socket.socket]] = {}
        self._loop = asyncio.get_running_loop()

    def listen(self, listener: socket.socket) -> None:
        """Accept connections from `listener`, a nonblocking socket, and own it."""
        self._acceptor = Acceptor(listener, self._accepted)

    async def open(self, port: int) -> socket.socket:
        """Return the connection from host port `port`, once. Raises `OSError`."""
        if port in self._unclaimed:
            return self._unclaimed.pop(port)
        if port in self._waiting:
            raise OSError("requested twice")
        arrival: asyncio.Future[socket.socket] = self._loop.create_future()
        self._waiting[port] = arrival
        try:
            async with asyncio.timeout(ARRIVAL_TIMEOUT):
                return await arrival
        except BaseException as error:
            if arrival.done() and not arrival.cancelled():
                # The connection came in the turn of the loop in which the caller left.
                arrival.result().close()
            if isinstance(error, TimeoutError):
                raise OSError("no connection from the host") from None
            raise
        finally:
            del self._waiting[port]

    def _accepted(self, connection: socket.socket) -> None:
        try:
            port = self._port_of(connection)
        except OSError:
            connection.close()  # The host has gone already.
            return
        self._keep(port, connection)

    def _keep(self, port: int, connection: socket.socket) -> None:
        arrival = self._waiting.get(port)
        if arrival is not None and not arrival.done():
            arrival.set_result(connection)
            return
        # A host that uses a port again has ended the older connection.
        older = self._unclaimed.pop(port, None)
        if older is None and len(self._unclaimed) >= UNCLAIMED_LIMIT:
            older = self._unclaimed.pop(next(iter(self._unclaimed)))
        if older is not None:
            log.warning("stream connection closed, no request named it")
            older.close()
        self._unclaimed[port] = connection

    def close(self) -> None:
        """Stop listening, and close the connections that no request has named."""
        if self._acceptor is not None:
            self._acceptor.close()
        for connection in self._unclaimed.values():
            connection.close()
        self._unclaimed.clear()
