# SPDX-License-Identifier: Apache-2.0
"""QEMU and a guest's socket driver, as the vsock backend meets them, in plain memory.

The layout of the rings is written down here a second time (VIRTIO 1.2, 2.7), so that a
test does not compare the backend with itself.
"""

from __future__ import annotations

import array
import mmap
import os
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

from kata_host.guest.vsock.memory import GuestMemory, Region
from kata_host.guest.vsock.packet import HEADER, HEADER_SIZE, Header, parse_header
from kata_host.guest.vsock.vhost_user_message import (
    FLAG_NEED_REPLY,
    MEMORY_TABLE,
    U64,
    VERSION,
    VRING_ADDRESS,
    VRING_STATE,
    Request,
    build,
)
from kata_host.guest.vsock.vhost_user_message import HEADER as MESSAGE

MEMORY_SIZE: Final = 1 << 20
GUEST_BASE: Final = 0x1000
"""The guest physical address of the memory's first byte."""
USER_BASE: Final = 0x7F0000000000
"""The address of the memory's first byte in QEMU's process."""
RING_SIZE: Final = 8
BUFFER_SIZE: Final = 4096
TIMEOUT: Final = 10.0
CID: Final = 3


class SharedMemory:
    """The guest's memory: a file that both sides map."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, MEMORY_SIZE)
        self.view = memoryview(mmap.mmap(self.fd, MEMORY_SIZE))

    def guest_memory(self) -> GuestMemory:
        """Map the memory once more, as the backend does."""
        region = Region.map(GUEST_BASE, MEMORY_SIZE, USER_BASE, offset=0, fd=self.fd)
        return GuestMemory([region])

    def close(self) -> None:
        os.close(self.fd)


class DriverRing:
    """The driver's side of a split ring at `offset` of the memory."""

    def __init__(
        self, memory: SharedMemory, offset: int, size: int = RING_SIZE
    ) -> None:
        self.size = size
        self._view = memory.view
        self._descriptors = offset
        self._available = offset + 16 * size
        self._used = self._available + 4 + 2 * size
        self._used += -self._used % 4
        self._next_descriptor = 0
        self._offered = 0
        self._seen = 0

    @property
    def addresses(self) -> dict[str, int]:
        """The areas' addresses in QEMU's process."""
        return {
            "descriptors": USER_BASE + self._descriptors,
            "available": USER_BASE + self._available,
            "used": USER_BASE + self._used,
        }

    def write_descriptor(
        self, index: int, address: int, length: int, flags: int, following: int = 0
    ) -> None:
        """Write one descriptor; `address` is the guest's."""
        at = self._descriptors + 16 * index
        struct.pack_into("<QIHH", self._view, at, address, length, flags, following)

    def offer_head(self, head: int) -> None:
        """Offer the chain that begins at a descriptor."""
        at = self._available + 4 + 2 * (self._offered % self.size)
        struct.pack_into("<H", self._view, at, head)
        self._offered = (self._offered + 1) & 0xFFFF
        struct.pack_into("<H", self._view, self._available + 2, self._offered)

    def offer(self, buffers: Sequence[tuple[int, int]], *, writable: bool) -> int:
        """Offer buffers, each an offset and a length, as one chain; return its head."""
        head = self._next_descriptor
        for number, (offset, length) in enumerate(buffers):
            index = self._next_descriptor
            self._next_descriptor = (index + 1) % self.size
            is_last = number == len(buffers) - 1
            flags = (0 if is_last else 1) | (2 if writable else 0)
            address = GUEST_BASE + offset
            self.write_descriptor(index, address, length, flags, self._next_descriptor)
        self.offer_head(head)
        return head

    def take_used(self) -> tuple[int, int] | None:
        """Return head and length of the next chain that was given back, if any."""
        (index,) = struct.unpack_from("<H", self._view, self._used + 2)
        if index == self._seen:
            return None
        at = self._used + 4 + 8 * (self._seen % self.size)
        head, length = struct.unpack_from("<II", self._view, at)
        self._seen = (self._seen + 1) & 0xFFFF
        return head, length


class Qemu:
    """QEMU's end of the vhost-user socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(
        self,
        request: int,
        payload: bytes = b"",
        descriptors: Sequence[int] = (),
        *,
        flags: int = VERSION,
    ) -> None:
        """Send one message."""
        fields = {"request": request, "flags": flags, "size": len(payload)}
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        header = build(MESSAGE, fields)
        self._connection.sendmsg([header + payload], rights if descriptors else [])

    def ask(self, request: Request, payload: bytes = b"") -> bytes:
        """Send a message and return the payload of the reply."""
        self.send(request, payload)
        return self.reply(request)

    def reply(self, request: Request) -> bytes:
        """Receive the reply to a request."""
        fields = MESSAGE.parse(self._receive(MESSAGE.sizeof()))
        assert fields.request == request
        return self._receive(fields.size)

    def send_and_wait(
        self, request: Request, payload: bytes, descriptors: Sequence[int] = ()
    ) -> None:
        """Send a message and wait until it has been applied."""
        self.send(request, payload, descriptors, flags=VERSION | FLAG_NEED_REPLY)
        assert U64.parse(self.reply(request)) == 0

    def share(self, memory: SharedMemory) -> None:
        """Hand the guest's memory over."""
        region = {
            "guest_address": GUEST_BASE,
            "size": MEMORY_SIZE,
            "user_address": USER_BASE,
            "offset": 0,
        }
        table = build(MEMORY_TABLE, {"count": 1, "regions": [region]})
        self.send_and_wait(Request.SET_MEM_TABLE, table, [memory.fd])

    def set_state(self, request: Request, index: int, value: int) -> None:
        """Set one number of a ring."""
        state: dict[str, Any] = {"index": index, "value": value}
        self.send_and_wait(request, build(VRING_STATE, state))

    def start_ring(self, index: int, ring: DriverRing, kick: int, call: int) -> None:
        """Hand a ring over, and let it run."""
        self.set_state(Request.SET_VRING_NUM, index, ring.size)
        self.set_state(Request.SET_VRING_BASE, index, 0)
        address = {"index": index, "flags": 0, "log": 0, **ring.addresses}
        self.send_and_wait(Request.SET_VRING_ADDR, build(VRING_ADDRESS, address))
        number = build(U64, index)
        self.send_and_wait(Request.SET_VRING_CALL, number, [call])
        self.send_and_wait(Request.SET_VRING_KICK, number, [kick])
        self.set_state(Request.SET_VRING_ENABLE, index, 1)

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                raise ConnectionError("the backend has closed the socket")
            data += part
        return data


class Driver:
    """The guest's socket driver: sends and receives packets over two rings."""

    def __init__(self, qemu: Qemu, memory: SharedMemory) -> None:
        self._memory = memory
        self.receiving = DriverRing(memory, 0)
        self.transmitting = DriverRing(memory, BUFFER_SIZE)
        self._buffers: dict[int, int] = {}
        self._eventfds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
        receive_kick, receive_call, kick, call = self._eventfds
        self._receive_kick, self._receive_call = receive_kick, receive_call
        self._kick, self._call = kick, call
        for number in range(RING_SIZE):
            self._offer_buffer(BUFFER_SIZE * (4 + number))
        qemu.share(memory)
        qemu.start_ring(0, self.receiving, receive_kick, receive_call)
        qemu.start_ring(1, self.transmitting, kick, call)

    def send(self, header: Header, data: bytes = b"") -> None:
        """Send one packet to the host, and wait until the backend has taken it."""
        packet = HEADER.pack(*header) + data
        offset = BUFFER_SIZE * 2
        self._memory.view[offset : offset + len(packet)] = packet
        # In two buffers, as Linux does: the header, then the data.
        buffers = [(offset, HEADER_SIZE)]
        if data:
            buffers.append((offset + HEADER_SIZE, len(data)))
        self.transmitting.offer(buffers, writable=False)
        self.kick()
        _wait_for_used(self.transmitting, self._call)

    def kick(self) -> None:
        """Tell the backend that packets were offered."""
        os.eventfd_write(self._kick, 1)

    def receive(self) -> tuple[Header, bytes]:
        """Wait for the next packet from the host."""
        head, length = _wait_for_used(self.receiving, self._receive_call)
        offset = self._buffers[head]
        packet = bytes(self._memory.view[offset : offset + length])
        self._offer_buffer(offset)
        os.eventfd_write(self._receive_kick, 1)
        return parse_header(packet), packet[HEADER_SIZE:]

    def close(self) -> None:
        for eventfd in self._eventfds:
            os.close(eventfd)

    def _offer_buffer(self, offset: int) -> None:
        head = self.receiving.offer([(offset, BUFFER_SIZE)], writable=True)
        self._buffers[head] = offset


def _wait_for_used(ring: DriverRing, call: int) -> tuple[int, int]:
    while (used := ring.take_used()) is None:
        assert select.select([call], [], [], TIMEOUT)[0], "no interrupt"
        os.eventfd_read(call)
    return used
