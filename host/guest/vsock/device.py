# SPDX-License-Identifier: Apache-2.0
"""The socket device: packets of the guest on one side, unix sockets on the other.

The device knows nothing of rings: `receive` takes a packet of the guest, and `fill`
writes the next packet for the guest into the buffers that it is given.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, TypeAlias

from kata_host.guest.hybrid_command import (
    CONNECTIONS_LIMIT,
    FIRST_HOST_PORT,
    format_ok,
)
from kata_host.guest.vsock.buffers import cut
from kata_host.guest.vsock.connection import Connection, ConnectionState, Key, Violation
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
from kata_host.guest.vsock.poller import EDGES, Poller
from kata_host.log_limit import LogLimit

REPLIES_LIMIT: Final = 1024
"""Packets that wait for the guest; at this many, none of the guest's are taken."""
CONNECT_TIMEOUT: Final = 2.0
"""Seconds; a guest's own connect gives up after two (Linux, af_vsock.c)."""
_READABLE: Final = (
    select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
)

log = logging.getLogger(__name__)

Connect: TypeAlias = Callable[[int], socket.socket]
"""Connects to the unix socket that stands for a port of the host.

Raises `OSError` if nothing listens there, `BlockingIOError` if its backlog is full.
"""


class Device:
    """The connections of one guest. No method blocks."""

    def __init__(
        self,
        guest_cid: int,
        connect: Connect,
        poller: Poller,
        limit: int = CONNECTIONS_LIMIT,
    ) -> None:
        """Serve the guest `guest_cid`.

        `limit` is the number of connections that the guest may open at a time. Those of
        clients count by themselves, so that a guest cannot keep clients out.
        """
        self._guest_cid = guest_cid
        self._warnings = LogLimit(log)
        self._limit = limit
        self._open: set[Endpoint] = set()
        """The guest's connections whose sockets are not closed: all that cost
        descriptors, also those that the guest has reset while the host still reads."""
        self._clients: set[Endpoint] = set()
        self._connect = connect
        self._poller = poller
        self._host_ports = count(FIRST_HOST_PORT)
        self._endpoints: dict[Key, Endpoint] = {}
        self._replies: deque[tuple[Connection, Operation, Shutdown]] = deque()
        self._ready: dict[Endpoint, None] = {}
        """Endpoints with bytes for the guest, in the order of their turns."""
        self._pending: list[tuple[Connection, float]] = []
        """Connections of the guest to a listener with a full backlog, each with the
        time (`time.monotonic`) at which it is refused."""

    @property
    def has_packets(self) -> bool:
        """Whether `fill` may have a packet to write."""
        return bool(self._replies or self._ready)

    @property
    def is_congested(self) -> bool:
        """Whether the guest must read packets before more of its own are taken."""
        return len(self._replies) >= REPLIES_LIMIT

    @property
    def clients(self) -> int:
        """Number of open connections of clients."""
        return len(self._clients)

    def connect(self, host: socket.socket, guest_port: int) -> None:
        """Open a connection from a client, on socket `host`, to a port of the guest."""
        key = Key(next(self._host_ports), guest_port)
        connection = Connection(key, ConnectionState.REQUESTED)
        endpoint = Endpoint(connection, host)
        self._clients.add(endpoint)
        self._add(endpoint)
        self._reply(connection, Operation.REQUEST)

    # --- from the guest ---

    def receive(self, header: Header, payload: Sequence[memoryview]) -> None:
        """Take one packet of the guest; `payload` holds exactly its data."""
        if header.dst_cid != HOST_CID or header.src_cid != self._guest_cid:
            return
        key = Key(header.dst_port, header.src_port)
        endpoint = self._endpoints.get(key)
        if header.type == TYPE_STREAM and endpoint is not None:
            self._receive_on(endpoint, header, payload)
        elif header.type == TYPE_STREAM and header.operation == Operation.REQUEST:
            self._accept(key, header)
        elif header.operation != Operation.RST:
            self._reply(Connection(key, ConnectionState.CLOSED), Operation.RST)

    def _accept(self, key: Key, header: Header) -> None:
        if len(self._open) + len(self._pending) >= self._limit:
            log.debug("%s: the guest has %d connections", key, self._limit)
            self._reply(Connection(key, ConnectionState.CLOSED), Operation.RST)
            return
        connection = Connection(key, ConnectionState.OPEN)
        connection.credit.guest_buffer = header.buf_alloc
        connection.credit.guest_taken = header.fwd_cnt
        self._connect_host(connection, time.monotonic() + CONNECT_TIMEOUT)

    def _connect_host(self, connection: Connection, deadline: float) -> None:
        try:
            host = self._connect(connection.key.host_port)
        except BlockingIOError:
            # The backlog is full, and no event tells when it has room again.
            if time.monotonic() < deadline:
                self._pending.append((connection, deadline))
                return
        except OSError:
            log.debug("%s: nothing listens", connection.key)
        else:
            endpoint = Endpoint(connection, host)
            self._open.add(endpoint)
            self._add(endpoint)
            self._reply(connection, Operation.RESPONSE)
            return
        self._reply(Connection(connection.key, ConnectionState.CLOSED), Operation.RST)

    @property
    def has_pending(self) -> bool:
        """Whether `retry_pending` is to be called in some milliseconds."""
        return bool(self._pending)

    def retry_pending(self) -> None:
        """Connect again to the listeners whose backlog was full."""
        pending, self._pending = self._pending, []
        for connection, deadline in pending:
            self._connect_host(connection, deadline)

    def _receive_on(
        self, endpoint: Endpoint, header: Header, payload: Sequence[memoryview]
    ) -> None:
        connection = endpoint.connection
        try:
            operation = connection.receive(header)
        except Violation as violation:
            self._warnings.warning("%s", violation)
            self._remove(endpoint)
            self._reply(connection, Operation.RST)
            return
        if operation is Operation.RESPONSE:
            # Outside the guest's credit, because the guest did not send this line.
            endpoint.send([memoryview(format_ok(connection.key.host_port))])
        elif operation is Operation.RW:
            self._take(connection, endpoint.send(payload))
        elif operation is Operation.CREDIT_REQUEST:
            self._reply(connection, Operation.CREDIT_UPDATE)
        self._settle(endpoint)

    # --- to the guest ---

    def fill(self, buffers: Sequence[memoryview]) -> int:
        """Write the next packet into `buffers`; return its size, 0 if there is none."""
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
        connection.credit.send(length)
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

    # --- from the host ---

    def _handle_host(self, endpoint: Endpoint, events: int) -> None:
        if events & _READABLE:
            endpoint.readable = True
        if events & (select.EPOLLHUP | select.EPOLLERR):
            endpoint.hang_up()
            if endpoint.connection.state is ConnectionState.REQUESTED:
                self._cancel(endpoint)
                return
        self._take(endpoint.connection, endpoint.flush())
        self._settle(endpoint)

    def _cancel(self, endpoint: Endpoint) -> None:
        """Forget a client that left before the guest answered its request."""
        self._remove(endpoint)
        request = (endpoint.connection, Operation.REQUEST, Shutdown.NOTHING)
        if request in self._replies:
            self._replies.remove(request)
        else:
            self._reply(endpoint.connection, Operation.RST)

    # --- both sides ---

    def _add(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.connection.key] = endpoint
        self._poller.watch(
            endpoint.fileno(), EDGES, lambda events: self._handle_host(endpoint, events)
        )

    def _take(self, connection: Connection, length: int) -> None:
        if connection.credit.take(length):
            self._reply(connection, Operation.CREDIT_UPDATE)

    def _settle(self, endpoint: Endpoint) -> None:
        """Pass the changes on either side of a connection on to the other side."""
        connection = endpoint.connection
        if endpoint.has_unsent:
            if connection.state is ConnectionState.CLOSED:
                # The guest may reuse its port while the host still reads.
                self._forget(endpoint)
        elif (
            connection.state is ConnectionState.CLOSED
            or connection.guest_shutdown == Shutdown.BOTH
        ):
            self._remove(endpoint)
            if connection.state is not ConnectionState.CLOSED:
                connection.reset()
                self._reply(connection, Operation.RST)
        elif connection.guest_shutdown:
            endpoint.end(connection.guest_shutdown)
        if connection.state is ConnectionState.OPEN:
            self._settle_guest(endpoint)

    def _settle_guest(self, endpoint: Endpoint) -> None:
        connection = endpoint.connection
        if endpoint.ended != connection.host_shutdown:
            connection.host_shutdown = endpoint.ended
            self._reply(connection, Operation.SHUTDOWN, endpoint.ended)
            if endpoint.ended == Shutdown.BOTH:
                # The guest answers with RST or SHUTDOWN; its port is taken until then.
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
            self._poller.unwatch(endpoint.fileno())
            endpoint.close()
            self._open.discard(endpoint)
            self._clients.discard(endpoint)
