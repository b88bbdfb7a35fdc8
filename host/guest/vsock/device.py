# SPDX-License-Identifier: Apache-2.0
"""The socket device: packets of the guest on one side, unix sockets on the other.

It knows nothing of rings: `receive` takes a packet, `fill` writes the next one
into the buffers that it is given, `handle_host` says what a socket is ready for.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Protocol

from kata_host.guest.hybrid_server import FIRST_HOST_PORT
from kata_host.guest.vsock.connection import Connection, Key, State, Violation
from kata_host.guest.vsock.endpoint import Endpoint
from kata_host.guest.vsock.packet import (
    HEADER,
    HEADER_SIZE,
    HOST_CID,
    TYPE_STREAM,
    Header,
    Operation,
    Shutdown,
)

BACKLOG_LIMIT: Final = 1024
"""Packets that wait for the guest; at this many, no more of its own are taken."""
EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
KNOCK_TIMEOUT: Final = 2.0
"""Seconds; a guest's own connect gives up after two (Linux, af_vsock.c)."""
_READABLE: Final = (
    select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
)

log = logging.getLogger(__name__)

Connect = Callable[[int], socket.socket]
"""Connects to what stands for a host port; raises `OSError` when nobody listens."""


class Watch(Protocol):
    """Calls back when a descriptor is ready, or stops doing so."""

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None: ...
    def unwatch(self, fd: int) -> None: ...


class Device:
    """One guest's connections. Nothing blocks and nothing is lost."""

    def __init__(self, guest_cid: int, connect: Connect, watch: Watch) -> None:
        self._guest_cid = guest_cid
        self._connect = connect
        self._watch = watch
        self._host_ports = count(FIRST_HOST_PORT)
        self._endpoints: dict[Key, Endpoint] = {}
        self._replies: deque[tuple[Connection, Operation, Shutdown]] = deque()
        self._ready: dict[Endpoint, None] = {}
        """Endpoints with bytes for the guest, in the order of their turns."""
        self._knocking: list[tuple[Connection, float]] = []
        """Connections of the guest to a full listener, and until when they wait."""

    @property
    def has_packets(self) -> bool:
        """Whether `fill` may have something to write."""
        return bool(self._replies or self._ready)

    @property
    def is_congested(self) -> bool:
        """Whether the guest must read before it may say more."""
        return len(self._replies) >= BACKLOG_LIMIT

    def connect(self, host: socket.socket, guest_port: int) -> None:
        """Open a connection to a port of the guest for a client on `host`."""
        key = Key(next(self._host_ports), guest_port)
        connection = Connection(key, State.REQUESTED)
        self._add(Endpoint(connection, host))
        self._reply(connection, Operation.REQUEST)

    # From the guest.

    def receive(self, header: Header, payload: Sequence[memoryview]) -> None:
        """Take one packet of the guest; `payload` is exactly its data."""
        if header.dst_cid != HOST_CID or header.src_cid != self._guest_cid:
            return
        key = Key(header.dst_port, header.src_port)
        endpoint = self._endpoints.get(key)
        if header.type == TYPE_STREAM and endpoint is not None:
            self._receive_on(endpoint, header, payload)
        elif header.type == TYPE_STREAM and header.operation == Operation.REQUEST:
            self._accept(key, header)
        elif header.operation != Operation.RST:
            self._reply(Connection(key, State.CLOSED), Operation.RST)

    def _accept(self, key: Key, header: Header) -> None:
        connection = Connection(key, State.OPEN)
        connection.credit.guest_buffer = header.buf_alloc
        connection.credit.guest_taken = header.fwd_cnt
        self._knock(connection, time.monotonic() + KNOCK_TIMEOUT)

    def _knock(self, connection: Connection, deadline: float) -> None:
        try:
            host = self._connect(connection.key.host_port)
        except BlockingIOError:
            # The listener's backlog is full, and nothing tells when it no longer is.
            if time.monotonic() < deadline and len(self._knocking) < BACKLOG_LIMIT:
                self._knocking.append((connection, deadline))
                return
        except OSError:
            log.debug("vsock %s: nobody listens", connection.key)
        else:
            self._add(Endpoint(connection, host))
            self._reply(connection, Operation.RESPONSE)
            return
        self._reply(Connection(connection.key, State.CLOSED), Operation.RST)

    @property
    def is_knocking(self) -> bool:
        """Whether `knock` has something to try, some milliseconds from now."""
        return bool(self._knocking)

    def knock(self) -> None:
        """Try listeners again that had no room for a connection of the guest."""
        knocking, self._knocking = self._knocking, []
        for connection, deadline in knocking:
            self._knock(connection, deadline)

    def _receive_on(
        self, endpoint: Endpoint, header: Header, payload: Sequence[memoryview]
    ) -> None:
        connection = endpoint.connection
        try:
            operation = connection.receive(header)
        except Violation as violation:
            log.warning("%s", violation)
            self._remove(endpoint)
            self._reply(connection, Operation.RST)
            return
        if operation is Operation.RESPONSE:
            # Not the guest's bytes: outside its credit.
            endpoint.send([memoryview(b"OK %d\n" % connection.key.host_port)])
        elif operation is Operation.RW:
            self._take(connection, endpoint.send(payload))
        elif operation is Operation.CREDIT_REQUEST:
            self._reply(connection, Operation.CREDIT_UPDATE)
        self._settle(endpoint)

    # To the guest.

    def fill(self, buffers: Sequence[memoryview]) -> int:
        """Write the next packet into `buffers`; return its size, or 0 for none."""
        while self._replies or self._ready:
            if self._replies:
                connection, operation, flags = self._replies.popleft()
                return self._write(buffers, connection, operation, flags=flags)
            endpoint = next(iter(self._ready))
            del self._ready[endpoint]
            if length := self._fill_data(endpoint, buffers):
                return length
        return 0

    def _fill_data(self, endpoint: Endpoint, buffers: Sequence[memoryview]) -> int:
        connection = endpoint.connection
        if not connection.accepts_data:
            return 0
        length = endpoint.read_into(cut(buffers, HEADER_SIZE, connection.credit.room))
        if not length:
            self._settle(endpoint)
            return 0
        connection.send_data(length)
        self._settle(endpoint)
        return self._write(buffers, connection, Operation.RW, length=length)

    def _write(
        self,
        buffers: Sequence[memoryview],
        connection: Connection,
        operation: Operation,
        *,
        length: int = 0,
        flags: Shutdown = Shutdown.NOTHING,
    ) -> int:
        data = HEADER.pack(
            *connection.header(self._guest_cid, operation, length=length, flags=flags)
        )
        for buffer in buffers:
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            data = data[size:]
        return HEADER_SIZE + length

    def _reply(
        self,
        connection: Connection,
        operation: Operation,
        flags: Shutdown = Shutdown.NOTHING,
    ) -> None:
        self._replies.append((connection, operation, flags))

    # From the host.

    def _handle_host(self, endpoint: Endpoint, events: int) -> None:
        if events & _READABLE:
            endpoint.readable = True
        if events & (select.EPOLLHUP | select.EPOLLERR):
            endpoint.hang_up()
            if endpoint.connection.state is State.REQUESTED:
                self._cancel(endpoint)
                return
        self._take(endpoint.connection, endpoint.flush())
        self._settle(endpoint)

    def _cancel(self, endpoint: Endpoint) -> None:
        """Forget a client that left before the guest answered."""
        self._remove(endpoint)
        request = (endpoint.connection, Operation.REQUEST, Shutdown.NOTHING)
        if request in self._replies:
            self._replies.remove(request)
        else:
            self._reply(endpoint.connection, Operation.RST)

    # Both.

    def _add(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.connection.key] = endpoint
        self._watch.watch(
            endpoint.fileno(), EDGES, lambda events: self._handle_host(endpoint, events)
        )

    def _take(self, connection: Connection, taken: int) -> None:
        if connection.take_data(taken):
            self._reply(connection, Operation.CREDIT_UPDATE)

    def _settle(self, endpoint: Endpoint) -> None:
        """Bring both sides up to date after anything has happened to one."""
        connection = endpoint.connection
        if endpoint.has_unsent:
            if connection.state is State.CLOSED:
                # The guest may use its port anew while the host still reads.
                self._forget(endpoint)
        elif (
            connection.state is State.CLOSED
            or connection.guest_shutdown == Shutdown.BOTH
        ):
            self._remove(endpoint)
            if connection.state is not State.CLOSED:
                connection.state = State.CLOSED
                self._reply(connection, Operation.RST)
        elif connection.guest_shutdown:
            endpoint.end(connection.guest_shutdown)
        if connection.state is State.OPEN:
            self._settle_guest(endpoint)

    def _settle_guest(self, endpoint: Endpoint) -> None:
        connection = endpoint.connection
        if endpoint.ended != connection.host_shutdown:
            connection.host_shutdown = endpoint.ended
            self._reply(connection, Operation.SHUTDOWN, endpoint.ended)
            if endpoint.ended == Shutdown.BOTH:
                # The guest answers with RST or SHUTDOWN; until then its port is taken.
                self._close(endpoint)
        elif endpoint.readable and connection.accepts_data:
            self._ready.setdefault(endpoint)

    def _forget(self, endpoint: Endpoint) -> None:
        key = endpoint.connection.key
        if self._endpoints.get(key) is endpoint:
            del self._endpoints[key]
        self._ready.pop(endpoint, None)

    def _remove(self, endpoint: Endpoint) -> None:
        self._forget(endpoint)
        self._close(endpoint)

    def _close(self, endpoint: Endpoint) -> None:
        if not endpoint.closed:
            self._watch.unwatch(endpoint.fileno())
            endpoint.close()


def cut(buffers: Sequence[memoryview], start: int, length: int) -> list[memoryview]:
    """Return the part of scattered `buffers` from `start` on, at most `length` long."""
    parts: list[memoryview] = []
    for buffer in buffers:
        part = buffer[start : start + length]
        start = max(0, start - len(buffer))
        if part:
            parts.append(part)
            length -= len(part)
    return parts
