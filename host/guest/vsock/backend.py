# SPDX-License-Identifier: Apache-2.0
"""The epoll loop: kicks of the guest, requests of QEMU, clients of the unix socket."""

from __future__ import annotations

import logging
import os
import resource
import select
import socket
import time
from pathlib import Path
from typing import Final

from kata_host.guest.hybrid_command import (
    COMMAND_LIMIT,
    CONNECTIONS_LIMIT,
    parse_command,
)
from kata_host.guest.vsock.buffers import cut
from kata_host.guest.vsock.device import Device
from kata_host.guest.vsock.packet import HEADER_SIZE, parse_header
from kata_host.guest.vsock.poller import EDGES, Poller
from kata_host.guest.vsock.ring import RECEIVE_QUEUE, TRANSMIT_QUEUE, Ring
from kata_host.guest.vsock.vhost_user import VhostUser
from kata_host.guest.vsock.vhost_user_message import config_space
from kata_host.log_limit import LogLimit

RETRY_INTERVAL: Final = 0.01
"""Seconds between two attempts to connect to a listener with a full backlog."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds before clients are accepted again when no descriptor was left."""
PACKETS_PER_TURN: Final = 256
"""Packets of the guest that are taken before the clients have their turn."""

log = logging.getLogger(__name__)


class Backend:
    """Serves one guest.

    `vhost` is the control socket from QEMU, `listener` takes clients. A connection of
    the guest to host port P is made to the unix socket `<base>_P`.
    """

    def __init__(
        self, vhost: socket.socket, listener: socket.socket, base: Path, guest_cid: int
    ) -> None:
        self._base = base
        self._warnings = LogLimit(log)
        self._listener = listener
        self._poller = Poller()
        # A half of the descriptors, so that clients always have some.
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = min(CONNECTIONS_LIMIT, descriptors // 2)
        self._device = Device(guest_cid, self._connect_host, self._poller, limit)
        self._accept_at: float | None = None
        """The time (`time.monotonic`) before which no client is accepted, because there
        were no descriptors."""
        self._vhost = VhostUser(
            vhost,
            config_space(guest_cid),
            watch_kick=self._watch_kick,
            unwatch_kick=self._unwatch_kick,
        )
        self._newcomers: set[socket.socket] = set()
        """Clients that have not sent their CONNECT line yet."""
        self._serving = True
        self._has_offers = False
        """Whether the guest may have offered packets that are not taken yet."""
        self._poller.watch(vhost.fileno(), select.EPOLLIN, self._handle_qemu)
        self._watch_listener()

    def run(self) -> None:
        """Serve until QEMU closes its socket.

        Raises `VirtqueueError`, `MemoryFault` or `ProtocolError` if the guest or QEMU
        has broken the protocol, so that it cannot be served any longer.
        """
        while self._serving:
            self._poller.turn(self._timeout())
            if self._accept_at is not None and time.monotonic() >= self._accept_at:
                self._watch_listener()
            if self._device.has_pending:
                self._device.retry_pending()
            self._take_packets()
            self._give_packets()

    def _timeout(self) -> float | None:
        ring = self._vhost.rings[TRANSMIT_QUEUE]
        if self._has_offers and ring.is_running and not self._device.is_congested:
            return 0
        waits = self._device.has_pending or self._accept_at is not None
        return RETRY_INTERVAL if waits else None

    def _handle_qemu(self, events: int) -> None:
        try:
            self._serving = self._vhost.serve()
        except ConnectionError:
            # QEMU was killed.
            self._serving = False

    # --- the rings ---

    def _watch_kick(self, ring: Ring) -> None:
        def handle(events: int) -> None:
            if ring.kick is not None:
                os.eventfd_read(ring.kick)
            self._has_offers |= ring.index == TRANSMIT_QUEUE

        if ring.kick is not None:
            # Buffers that were offered before QEMU handed the ring over had no kick.
            self._has_offers = True
            self._poller.watch(ring.kick, select.EPOLLIN, handle)

    def _unwatch_kick(self, ring: Ring) -> None:
        if ring.kick is not None:
            self._poller.unwatch(ring.kick)

    def _take_packets(self) -> None:
        """Take packets of the guest, as many as one turn allows."""
        ring = self._vhost.rings[TRANSMIT_QUEUE]
        if not self._has_offers or not ring.is_running or ring.queue is None:
            return
        taken = 0
        while taken < PACKETS_PER_TURN and not self._device.is_congested:
            chain = ring.queue.pop()
            if chain is None:
                self._has_offers = False
                break
            self._take_packet(chain.buffers)
            ring.queue.push(chain, 0)
            taken += 1
        if taken:
            ring.interrupt()

    def _take_packet(self, buffers: list[memoryview]) -> None:
        try:
            header = parse_header(b"".join(cut(buffers, 0, HEADER_SIZE)))
        except ValueError as error:
            self._warnings.warning("%s", error)
            return
        payload = cut(buffers, HEADER_SIZE, header.length)
        length = sum(map(len, payload))
        if length < header.length:
            self._warnings.warning(
                "vsock packet: %d bytes of data, the header names %d",
                length,
                header.length,
            )
            return
        self._device.receive(header, payload)

    def _give_packets(self) -> None:
        """Give the guest the packets that wait for it, as far as it has buffers."""
        ring = self._vhost.rings[RECEIVE_QUEUE]
        if not ring.is_running or ring.queue is None:
            return
        given = False
        while self._device.has_packets:
            chain = ring.queue.pop()
            if chain is None:
                break
            if chain.size <= HEADER_SIZE:
                ring.queue.push(chain, 0)
                continue
            length = self._device.fill(chain.buffers)
            if not length:
                ring.queue.put_back()
                break
            ring.queue.push(chain, length)
            given = True
        if given:
            ring.interrupt()

    # --- the unix sockets ---

    def _connect_host(self, port: int) -> socket.socket:
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        try:
            connection.connect(f"{self._base}_{port}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _watch_listener(self) -> None:
        self._accept_at = None
        self._poller.watch(
            self._listener.fileno(), select.EPOLLIN, self._handle_listener
        )

    def _handle_listener(self, events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            # Most likely no descriptor is left; other connections will end.
            self._warnings.warning("clients wait: %s", error)
            self._poller.unwatch(self._listener.fileno())
            self._accept_at = time.monotonic() + ACCEPT_PAUSE
            return
        client.setblocking(False)
        if len(self._newcomers) + self._device.clients >= CONNECTIONS_LIMIT:
            client.close()
            return
        self._newcomers.add(client)
        self._poller.watch(
            client.fileno(), EDGES, lambda events: self._handle_command(client)
        )

    def _handle_command(self, client: socket.socket) -> None:
        """Read a client's first line and nothing behind that line."""
        try:
            line = client.recv(COMMAND_LIMIT, socket.MSG_PEEK)
            end = line.find(b"\n") + 1
            if not end and 0 < len(line) < COMMAND_LIMIT:
                return
            port = parse_command(client.recv(end or COMMAND_LIMIT))
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._forget_newcomer(client)
            client.close()
            return
        self._forget_newcomer(client)
        self._device.connect(client, port)

    def _forget_newcomer(self, client: socket.socket) -> None:
        self._newcomers.discard(client)
        self._poller.unwatch(client.fileno())
