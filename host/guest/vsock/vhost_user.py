# SPDX-License-Identifier: Apache-2.0
"""The control socket of vhost-user: QEMU hands over memory, rings and eventfds.

    +---------+---------+--------+----------------+
    | request | flags   | size   | payload (size) |   12 bytes, then the payload;
    +---------+---------+--------+----------------+   descriptors ride along

QEMU, docs/interop/vhost-user.rst. Only what a socket device needs is answered;
an unknown request ends the connection, since its effect would be unknown too.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import construct

from kata_host.guest.vsock.memory import GuestMemory, Region
from kata_host.guest.vsock.virtqueue import Virtqueue

RECEIVE_QUEUE: Final = 0
TRANSMIT_QUEUE: Final = 1
QUEUES: Final = 2
"""QEMU serves the third, the event queue, by itself."""

VIRTIO_F_VERSION_1: Final = 1 << 32
VHOST_USER_F_PROTOCOL_FEATURES: Final = 1 << 30
PROTOCOL_F_REPLY_ACK: Final = 1 << 3
PROTOCOL_F_CONFIG: Final = 1 << 9
FLAG_REPLY: Final = 1 << 2
FLAG_NEED_REPLY: Final = 1 << 3
VERSION: Final = 1
VRING_INDEX_MASK: Final = 0xFF
VRING_NO_FD: Final = 1 << 8
DESCRIPTORS_LIMIT: Final = 8

HEADER: Final = construct.Struct(
    "request" / construct.Int32ul,
    "flags" / construct.Int32ul,
    "size" / construct.Int32ul,
)
U64: Final = construct.Int64ul
VRING_STATE: Final = construct.Struct(
    "index" / construct.Int32ul, "value" / construct.Int32ul
)
VRING_ADDRESS: Final = construct.Struct(
    "index" / construct.Int32ul,
    "flags" / construct.Int32ul,
    "descriptors" / construct.Int64ul,
    "used" / construct.Int64ul,
    "available" / construct.Int64ul,
    "log" / construct.Int64ul,
)
MEMORY_REGION: Final = construct.Struct(
    "guest_address" / construct.Int64ul,
    "size" / construct.Int64ul,
    "user_address" / construct.Int64ul,
    "offset" / construct.Int64ul,
)
MEMORY_TABLE: Final = construct.Struct(
    "count" / construct.Int32ul,
    construct.Padding(4),
    "regions" / construct.Array(construct.this.count, MEMORY_REGION),
)
CONFIG: Final = construct.Struct(
    "offset" / construct.Int32ul,
    "size" / construct.Int32ul,
    "flags" / construct.Int32ul,
)


class Request(IntEnum):
    """What QEMU asks for (the numbers of `enum VhostUserRequest`)."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    GET_CONFIG = 24


class ProtocolError(Exception):
    """QEMU said what this device does not understand."""


@dataclass(slots=True)
class Ring:
    """What is known of one queue so far; `queue` once it is all there."""

    index: int
    size: int = 0
    base: int = 0
    addresses: dict[str, int] = field(default_factory=dict)
    kick: int | None = None
    call: int | None = None
    enabled: bool = False
    queue: Virtqueue | None = None

    @property
    def is_running(self) -> bool:
        return self.enabled and self.queue is not None and self.kick is not None

    def interrupt(self) -> None:
        """Tell the guest that something was given back to it.

        The guest's wish for silence (VIRTQ_AVAIL_F_NO_INTERRUPT) is not read: that
        would need a full memory barrier, and one call covers a whole batch.
        """
        if self.call is not None:
            os.eventfd_write(self.call, 1)


class VhostUser:
    """One connection from QEMU; `changed` is called with each ring that changed."""

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
        """Answer one request; return False when QEMU has closed the connection."""
        data, descriptors = self._receive()
        if not data:
            return False
        try:
            header = HEADER.parse(data)
            payload = self._receive_payload(header.size)
            try:
                request = Request(header.request)
            except ValueError:
                raise ProtocolError(f"vhost-user: request {header.request}") from None
            reply = self._handle(request, payload, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if reply is None and header.flags & FLAG_NEED_REPLY:
            reply = _build(U64, 0)
        if reply is not None:
            answer = {
                "request": request,
                "flags": VERSION | FLAG_REPLY,
                "size": len(reply),
            }
            self._connection.sendall(_build(HEADER, answer) + reply)
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
                raise ProtocolError("vhost-user: closed in the middle of a request")
            payload += part
        return payload

    def _handle(
        self, request: Request, payload: bytes, descriptors: list[int]
    ) -> bytes | None:
        """Do what is asked; what is taken of `descriptors` is removed from it."""
        match request:
            case Request.GET_FEATURES:
                return _build(U64, VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES)
            case Request.GET_PROTOCOL_FEATURES:
                return _build(U64, PROTOCOL_F_REPLY_ACK | PROTOCOL_F_CONFIG)
            case Request.GET_QUEUE_NUM:
                return _build(U64, QUEUES)
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
            raise ProtocolError(f"vhost-user: no queue {index}")
        return self.rings[index]

    def _get_config(self, payload: bytes) -> bytes:
        wanted = CONFIG.parse(payload)
        content = self._config[wanted.offset : wanted.offset + wanted.size]
        return payload[: CONFIG.sizeof()] + content.ljust(wanted.size, b"\0")

    def _set_memory(self, payload: bytes, descriptors: list[int]) -> None:
        regions = MEMORY_TABLE.parse(payload).regions
        if len(regions) != len(descriptors):
            raise ProtocolError(
                f"vhost-user: {len(regions)} regions, {len(descriptors)} descriptors"
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
        # Memory was plugged: the rings are where they were, but mapped anew.
        for ring in self.rings:
            if ring.queue is not None:
                ring.base = ring.queue.next_index
                self._place(ring)

    def _set_address(self, payload: bytes) -> None:
        address = VRING_ADDRESS.parse(payload)
        ring = self._ring(address.index)
        ring.addresses = {
            area: getattr(address, area)
            for area in ("descriptors", "available", "used")
        }
        self._place(ring)

    def _place(self, ring: Ring) -> None:
        ring.queue = Virtqueue(
            self._memory,
            ring.size,
            **ring.addresses,
            next_index=ring.base,
            writable=ring.index == RECEIVE_QUEUE,
        )

    def _set_eventfd(
        self, request: Request, payload: bytes, descriptors: list[int]
    ) -> None:
        value = U64.parse(payload)
        ring = self._ring(value & VRING_INDEX_MASK)
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
                # Also the order to stop: the ring belongs to QEMU until the next kick.
                if ring.queue is not None:
                    ring.base = ring.queue.next_index
                    ring.queue = None
                self._drop_kick(ring)
                return _build(VRING_STATE, {"index": ring.index, "value": ring.base})
        return None

    def _drop_kick(self, ring: Ring) -> None:
        if ring.kick is not None:
            self._unwatch_kick(ring)
            os.close(ring.kick)
            ring.kick = None


def _build(layout: construct.Construct, value: object) -> bytes:
    return bytes(layout.build(value))


def config_space(guest_cid: int) -> bytes:
    """Return the device's configuration: the guest's CID (VIRTIO 1.2, 5.10.4)."""
    return struct.pack("<Q", guest_cid)
