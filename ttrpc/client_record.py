# SPDX-License-Identifier: Apache-2.0
"""What a client counts over all of its connections, and the functions that it tells."""

from __future__ import annotations

from collections.abc import Callable

from ttrpc.call_context import Peer
from ttrpc.call_counts import CallCounts
from ttrpc.counters import ClientCounters
from ttrpc.errors import Closed
from ttrpc.hook import call_hook, check_hooks

ConnectedHook = Callable[[Peer], object]
DisconnectedHook = Callable[[Closed], object]


class ClientRecord:
    """The sums of one client, with asyncio or without."""

    __slots__ = (
        "_connected",
        "_connections",
        "_disconnected",
        "_received",
        "_sent",
        "connections_failed",
        "counts",
    )

    def __init__(
        self, connected: ConnectedHook | None, disconnected: DisconnectedHook | None
    ) -> None:
        """Take the functions that are told of connections, `disconnected` of the cause.

        Raises:
            TypeError: one of them is a coroutine function.
        """
        check_hooks(connected=connected, disconnected=disconnected)
        self._connected = connected
        self._disconnected = disconnected
        self._connections = self._received = self._sent = 0
        self.counts = CallCounts()
        """The calls and streams that were begun."""
        self.connections_failed = 0
        """Times that nobody could be reached."""

    def connection_made(self, peer: Peer) -> None:
        """Count a connection, and tell of it."""
        self._connections += 1
        call_hook("connection", self._connected, peer)

    def connection_ended(self, cause: Closed, *, received: int, sent: int) -> None:
        """Add the bytes of a connection, and tell of its end."""
        self._received += received
        self._sent += sent
        call_hook("connection", self._disconnected, cause)

    def counters(self, *, received: int, sent: int) -> ClientCounters:
        """Return the sums; the bytes are those of the connection that is open."""
        return ClientCounters(
            connections=self._connections,
            connections_failed=self.connections_failed,
            calls=self.counts.started,
            calls_ended=self.counts.ended(),
            bytes_received=self._received + received,
            bytes_sent=self._sent + sent,
        )
