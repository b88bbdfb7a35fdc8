# SPDX-License-Identifier: Apache-2.0
"""The control socket of vhost-user: QEMU hands over memory, rings and eventfds.

QEMU, docs/interop/vhost-user.rst. Only the requests that a socket device needs are
answered. An unknown request ends the connection, because its effect would be unknown
too.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Callable
from typing import Final

from kata_host.guest.vsock.memory import GuestMemory, Region
from kata_host.guest.vsock.ring import QUEUES, Ring
from kata_host.guest.vsock.vhost_user_message import (
    CONFIG,
    FLAG_NEED_REPLY,
    FLAG_REPLY,
    HEADER,
    MEMORY_TABLE,
    PROTOCOL_F_CONFIG,
    PROTOCOL_F_REPLY_ACK,
    U64,
    VERSION,
    VHOST_USER_F_PROTOCOL_FEATURES,
    VIRTIO_F_VERSION_1,
    VRING_ADDRESS,
    VRING_INDEX_MASK,
    VRING_NO_FD,
    VRING_STATE,
    ProtocolError,
    Request,
    build,
)

DESCRIPTORS_LIMIT: Final = 8
"""Descriptors that one message brings at most."""


class VhostUser:
    """One connection from QEMU, on the socket `connection`.

    `config` is the device's configuration. `watch_kick` is called when a ring has got
    an eventfd for kicks, and `unwatch_kick` before that eventfd is closed.
    """

    def __init__(
        self,
        connection: socket.socket,
        config: bytes,
        *,
        watch_kick: Callable[[Ring], None],
        unwatch_kick: Callable[[Ring], None],
    ) -> None:
        self.rings = [Ring(index) for index in range(QUEUES)]
        self._connection = connection
        self._config = config
        self._watch_kick = watch_kick
        self._unwatch_kick = unwatch_kick
        self._memory = GuestMemory()

    def serve(self) -> bool:
        """Receive and answer one request; return False if QEMU has closed the socket.

        Raises `ProtocolError`, `VirtqueueError` and `MemoryFault` for a request that
        this device cannot serve, and `ConnectionError` if QEMU was killed.
        """
        data, descriptors = self._receive()
        if not data:
            return False
        try:
            header = HEADER.parse(data)
            payload = self._receive_payload(header.size)
            try:
                request = Request(header.request)
            except ValueError:
                raise ProtocolError(
                    f"vhost-user: unknown request {header.request}"
                ) from None
            reply = self._handle(request, payload, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if reply is None and header.flags & FLAG_NEED_REPLY:
            reply = build(U64, 0)
        if reply is not None:
            fields = {
                "request": request,
                "flags": VERSION | FLAG_REPLY,
                "size": len(reply),
            }
            self._connection.sendall(build(HEADER, fields) + reply)
        return True

    def _receive(self) -> tuple[bytes, list[int]]:
        ancillary_size = socket.CMSG_SPACE(DESCRIPTORS_LIMIT * 4)
        data, ancillary, *_ = self._connection.recvmsg(HEADER.sizeof(), ancillary_size)
        descriptors = array.array("i")
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(value) - len(value) % descriptors.itemsize
                descriptors.frombytes(value[:whole])
        return data, list(descriptors)

    def _receive_payload(self, size: int) -> bytes:
        payload = b""
        while len(payload) < size:
            part = self._connection.recv(size - len(payload))
            if not part:
                raise ProtocolError("vhost-user: connection closed inside a request")
            payload += part
        return payload

    def _handle(
        self, request: Request, payload: bytes, descriptors: list[int]
    ) -> bytes | None:
        """Apply a request and return the payload of the reply, if there is one.

        Descriptors that are kept are removed from `descriptors`.
        """
        match request:
            case Request.GET_FEATURES:
                return build(U64, VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES)
            case Request.GET_PROTOCOL_FEATURES:
                return build(U64, PROTOCOL_F_REPLY_ACK | PROTOCOL_F_CONFIG)
            case Request.GET_QUEUE_NUM:
                return build(U64, QUEUES)
            case Request.GET_CONFIG:
                return self._get_config(payload)
            case Request.SET_MEM_TABLE:
                self._set_memory(payload, descriptors)
            case Request.SET_VRING_ADDR:
                self._set_address(payload)
            case Request.SET_VRING_KICK | Request.SET_VRING_CALL:
                self._set_eventfd(request, payload, descriptors)
            case (
                Request.SET_VRING_NUM
                | Request.SET_VRING_BASE
                | Request.GET_VRING_BASE
                | Request.SET_VRING_ENABLE
            ):
                return self._set_state(request, payload)
        return None

    def _ring(self, index: int) -> Ring:
        if index >= QUEUES:
            raise ProtocolError(f"vhost-user: unknown queue {index}")
        return self.rings[index]

    def _get_config(self, payload: bytes) -> bytes:
        wanted = CONFIG.parse(payload)
        content = self._config[wanted.offset : wanted.offset + wanted.size]
        return payload[: CONFIG.sizeof()] + content.ljust(wanted.size, b"\0")

    def _set_memory(self, payload: bytes, descriptors: list[int]) -> None:
        regions = MEMORY_TABLE.parse(payload).regions
        if len(regions) != len(descriptors):
            raise ProtocolError(
                f"vhost-user: {len(descriptors)} descriptors for {len(regions)} regions"
            )
        self._memory = GuestMemory(
            Region.map(
                region.guest_address,
                region.size,
                region.user_address,
                offset=region.offset,
                fd=descriptor,
            )
            for region, descriptor in zip(regions, descriptors, strict=True)
        )
        # Plugging memory maps everything anew; the rings keep their addresses.
        for ring in self.rings:
            ring.remap(self._memory)

    def _set_address(self, payload: bytes) -> None:
        address = VRING_ADDRESS.parse(payload)
        ring = self._ring(address.index)
        ring.addresses = {
            area: getattr(address, area)
            for area in ("descriptors", "available", "used")
        }
        ring.map(self._memory)

    def _set_eventfd(
        self, request: Request, payload: bytes, descriptors: list[int]
    ) -> None:
        value = U64.parse(payload)
        ring = self._ring(value & VRING_INDEX_MASK)
        if not value & VRING_NO_FD and not descriptors:
            raise ProtocolError(f"vhost-user: no descriptor in {request.name}")
        descriptor = None if value & VRING_NO_FD else descriptors.pop(0)
        if request is Request.SET_VRING_CALL:
            if ring.call is not None:
                os.close(ring.call)
            ring.call = descriptor
            return
        self._drop_kick(ring)
        if descriptor is not None:
            os.set_blocking(descriptor, False)
            ring.kick = descriptor
            self._watch_kick(ring)

    def _set_state(self, request: Request, payload: bytes) -> bytes | None:
        state = VRING_STATE.parse(payload)
        ring = self._ring(state.index)
        match request:
            case Request.SET_VRING_NUM:
                ring.size = state.value
            case Request.SET_VRING_BASE:
                ring.base = state.value
                if ring.queue is not None:
                    ring.queue.next_index = state.value
            case Request.SET_VRING_ENABLE:
                ring.enabled = bool(state.value)
            case Request.GET_VRING_BASE:
                # This request also stops the ring, until it gets a new address.
                ring.unmap()
                self._drop_kick(ring)
                return build(VRING_STATE, {"index": ring.index, "value": ring.base})
        return None

    def _drop_kick(self, ring: Ring) -> None:
        if ring.kick is not None:
            self._unwatch_kick(ring)
            os.close(ring.kick)
            ring.kick = None
