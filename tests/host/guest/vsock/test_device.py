# SPDX-License-Identifier: Apache-2.0
"""The device between packets that the test makes and sockets that it holds."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kata_host.guest.hybrid_command import CONNECTIONS_LIMIT as LIMIT
from kata_host.guest.vsock import device as device_module
from kata_host.guest.vsock.credit import BUFFER_SIZE, UPDATE_AFTER
from kata_host.guest.vsock.device import Device
from kata_host.guest.vsock.packet import (
    HEADER_SIZE,
    HOST_CID,
    Header,
    Operation,
    Shutdown,
    parse_header,
)
from kata_host.guest.vsock.poller import Poller
from tests.helpers.virtio import CID

GUEST_PORT = 1024
HOST_PORT = 10240


class Guest:
    """A device, its poller, and the packets that come out of it."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.dialled: list[int] = []
        self.refusal: Exception | None = None
        self.accepted: list[socket.socket] = []
        self.device = Device(CID, self._connect, self.poller)
        self._sockets: list[socket.socket] = []

    def _connect(self, port: int) -> socket.socket:
        self.dialled.append(port)
        if self.refusal is not None:
            raise self.refusal
        ours, theirs = self.socket_pair()
        self.accepted.append(theirs)
        return ours

    def socket_pair(self) -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        pair[0].setblocking(False)
        pair[1].settimeout(10)
        self._sockets += pair
        return pair

    def send(self, operation: int, data: bytes = b"", **fields: Any) -> None:
        """Have the guest send a packet."""
        values: dict[str, Any] = {
            "src_cid": CID,
            "dst_cid": HOST_CID,
            "src_port": GUEST_PORT,
            "dst_port": HOST_PORT,
            "length": len(data),
            "type": 1,
            "flags": 0,
            "buf_alloc": 1 << 16,
            "fwd_cnt": 0,
            **fields,
        }
        header = Header(operation=operation, **values)
        self.device.receive(header, [memoryview(data)] if data else [])

    def receive(self) -> tuple[Header, bytes] | None:
        """Let the sockets have their turn; return the next packet for the guest."""
        self.poller.turn(0)
        # In two buffers, so that a header may be cut.
        first, rest = bytearray(30), bytearray(5000)
        size = self.device.fill([memoryview(first), memoryview(rest)])
        packet = bytes(first + rest)[:size]
        return (parse_header(packet), packet[HEADER_SIZE:]) if size else None

    def operations(self) -> list[Operation]:
        """Return the operations of all packets that wait."""
        found = []
        while (packet := self.receive()) is not None:
            found.append(Operation(packet[0].operation))
        return found

    def open_from_guest(self) -> socket.socket:
        """Have the guest connect; return the host's socket."""
        self.send(Operation.REQUEST)
        assert self.operations() == [Operation.RESPONSE]
        return self.accepted[-1]

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@pytest.fixture
def guest() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    guest.close()


def test_a_client_is_connected_when_the_guest_responds(guest: Guest) -> None:
    host, client = guest.socket_pair()
    guest.device.connect(host, GUEST_PORT)
    packet = guest.receive()
    assert packet is not None
    header, _ = packet
    assert (header.operation, header.dst_port) == (Operation.REQUEST, GUEST_PORT)
    guest.send(Operation.RESPONSE, dst_port=header.src_port)
    assert client.recv(100) == b"OK %d\n" % header.src_port
    guest.send(Operation.RW, b"hello", dst_port=header.src_port)
    assert client.recv(100) == b"hello"


def test_a_client_whose_port_is_refused_is_closed(guest: Guest) -> None:
    host, client = guest.socket_pair()
    guest.device.connect(host, GUEST_PORT)
    packet = guest.receive()
    assert packet is not None
    guest.send(Operation.RST, dst_port=packet[0].src_port)
    assert client.recv(1) == b""


def test_a_client_that_leaves_before_its_request_was_sent_leaves_no_packet(
    guest: Guest,
) -> None:
    host, client = guest.socket_pair()
    guest.device.connect(host, GUEST_PORT)
    client.close()
    assert guest.operations() == []


def test_a_client_that_leaves_after_its_request_resets(guest: Guest) -> None:
    host, client = guest.socket_pair()
    guest.device.connect(host, GUEST_PORT)
    assert guest.operations() == [Operation.REQUEST]
    client.close()
    assert guest.operations() == [Operation.RST]


def test_the_guest_connects_to_a_port_of_the_host(guest: Guest) -> None:
    host = guest.open_from_guest()
    assert guest.dialled == [HOST_PORT]
    host.sendall(b"hello")
    packet = guest.receive()
    assert packet is not None
    header, data = packet
    assert (header.operation, data) == (Operation.RW, b"hello")
    assert (header.src_port, header.dst_port) == (HOST_PORT, GUEST_PORT)


def test_a_port_of_the_host_without_a_listener_is_reset(guest: Guest) -> None:
    guest.refusal = FileNotFoundError()
    guest.send(Operation.REQUEST)
    assert guest.operations() == [Operation.RST]


def connect_from_guest(guest: Guest, port: int) -> Operation:
    guest.send(Operation.REQUEST, src_port=port)
    (operation,) = guest.operations()
    return operation


def test_the_guest_may_open_so_many_connections_and_no_more(guest: Guest) -> None:
    """Firecracker's number, and its answer."""
    assert LIMIT == 1023
    for port in range(LIMIT):
        assert connect_from_guest(guest, port) == Operation.RESPONSE
    dialled = len(guest.dialled)
    for port in range(LIMIT, LIMIT + 10):
        assert connect_from_guest(guest, port) == Operation.RST
    assert len(guest.dialled) == dialled
    # Clients are not kept out, and the end of one makes room for another.
    host, _ = guest.socket_pair()
    guest.device.connect(host, GUEST_PORT)
    assert guest.operations() == [Operation.REQUEST]
    guest.send(Operation.SHUTDOWN, src_port=0, flags=Shutdown.BOTH)
    assert guest.operations() == [Operation.RST]
    assert connect_from_guest(guest, LIMIT) == Operation.RESPONSE
    assert connect_from_guest(guest, LIMIT + 1) == Operation.RST


def test_connections_that_the_guest_resets_count_while_the_host_reads(
    guest: Guest,
) -> None:
    """Each keeps a descriptor and bytes; otherwise a guest could make any number."""
    guest.device = Device(CID, guest._connect, guest.poller, limit=3)
    for port in range(3):
        assert connect_from_guest(guest, port) == Operation.RESPONSE
        # More than the host's socket takes.
        for _ in range(8):
            guest.send(Operation.RW, b"x" * 32768, src_port=port)
        guest.send(Operation.RST, src_port=port)
        guest.operations()
    assert connect_from_guest(guest, 3) == Operation.RST
    guest.accepted[0].close()
    guest.poller.turn(0)
    assert connect_from_guest(guest, 3) == Operation.RESPONSE


def test_connections_that_wait_for_a_full_backlog_count(guest: Guest) -> None:
    guest.device = Device(CID, guest._connect, guest.poller, limit=3)
    guest.refusal = BlockingIOError()
    for port in range(5):
        guest.send(Operation.REQUEST, src_port=port)
    assert guest.operations() == [Operation.RST] * 2


def test_a_connection_without_a_descriptor_is_reset(guest: Guest) -> None:
    guest.refusal = OSError(errno.EMFILE, "Too many open files")
    assert connect_from_guest(guest, 1) == Operation.RST
    guest.refusal = None
    assert connect_from_guest(guest, 1) == Operation.RESPONSE


def test_a_full_backlog_is_tried_again(guest: Guest) -> None:
    guest.refusal = BlockingIOError()
    guest.send(Operation.REQUEST)
    assert guest.device.has_pending
    assert guest.operations() == []
    guest.refusal = None
    guest.device.retry_pending()
    assert not guest.device.has_pending
    assert guest.operations() == [Operation.RESPONSE]


def test_a_backlog_that_stays_full_is_a_reset_in_the_end(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "CONNECT_TIMEOUT", 0)
    guest.refusal = BlockingIOError()
    guest.send(Operation.REQUEST)
    assert not guest.device.has_pending
    assert guest.operations() == [Operation.RST]


def test_packets_of_no_connection_are_reset_but_a_reset_is_not_answered(
    guest: Guest,
) -> None:
    guest.send(Operation.RW, b"lost")
    guest.send(Operation.RST)
    guest.send(Operation.REQUEST, type=2)
    assert guest.operations() == [Operation.RST, Operation.RST]


@pytest.mark.parametrize("cids", [{"dst_cid": 7}, {"src_cid": 7}])
def test_packets_for_or_from_another_are_ignored(
    guest: Guest, cids: dict[str, int]
) -> None:
    guest.send(Operation.REQUEST, **cids)
    assert guest.operations() == []


def test_a_violation_resets_the_connection_alone(guest: Guest) -> None:
    first = guest.open_from_guest()
    guest.send(Operation.REQUEST, src_port=GUEST_PORT + 1)
    assert guest.operations() == [Operation.RESPONSE]
    guest.send(Operation.RESPONSE)
    assert guest.operations() == [Operation.RST]
    assert first.recv(1) == b""
    guest.send(Operation.RW, b"fine", src_port=GUEST_PORT + 1)
    assert guest.accepted[1].recv(100) == b"fine"


def test_no_more_is_sent_than_the_guest_has_room_for(guest: Guest) -> None:
    guest.send(Operation.REQUEST, buf_alloc=10)
    assert guest.operations() == [Operation.RESPONSE]
    guest.accepted[0].sendall(b"0123456789abcdef")
    packet = guest.receive()
    assert packet is not None
    assert packet[1] == b"0123456789"
    assert guest.receive() is None
    guest.send(Operation.CREDIT_UPDATE, buf_alloc=10, fwd_cnt=10)
    packet = guest.receive()
    assert packet is not None
    assert packet[1] == b"abcdef"


def test_the_guest_is_told_of_bytes_that_the_host_took(guest: Guest) -> None:
    host = guest.open_from_guest()
    guest.send(Operation.RW, bytes(UPDATE_AFTER))
    assert len(host.recv(UPDATE_AFTER, socket.MSG_WAITALL)) == UPDATE_AFTER
    packet = guest.receive()
    assert packet is not None
    assert packet[0].operation == Operation.CREDIT_UPDATE
    assert packet[0].fwd_cnt == UPDATE_AFTER


def test_a_request_for_credit_is_answered(guest: Guest) -> None:
    guest.open_from_guest()
    guest.send(Operation.CREDIT_REQUEST)
    assert guest.operations() == [Operation.CREDIT_UPDATE]


def test_bytes_reach_a_host_that_reads_late(guest: Guest) -> None:
    host = guest.open_from_guest()
    data = b"".join(b"%07d\n" % number for number in range(BUFFER_SIZE // 8))
    for start in range(0, len(data), 4096):
        guest.send(Operation.RW, data[start : start + 4096])
    guest.send(Operation.SHUTDOWN, flags=Shutdown.SEND)
    received = b""
    while part := host.recv(1 << 16):
        received += part
        guest.poller.turn(0)
    assert received == data


def test_the_hosts_end_is_a_shutdown_of_sending(guest: Guest) -> None:
    host = guest.open_from_guest()
    host.shutdown(socket.SHUT_WR)
    packet = guest.receive()
    assert packet is not None
    header, _ = packet
    assert (header.operation, header.flags) == (Operation.SHUTDOWN, Shutdown.SEND)


def test_the_hosts_close_is_a_shutdown_of_both_after_its_bytes(guest: Guest) -> None:
    host = guest.open_from_guest()
    host.sendall(b"last")
    host.close()
    packets = []
    while (packet := guest.receive()) is not None:
        packets.append(packet)
    assert [Operation(header.operation) for header, _ in packets] == [
        Operation.RW,
        Operation.SHUTDOWN,
    ]
    assert packets[1][0].flags == Shutdown.BOTH
    # Its port is taken until the guest has answered.
    guest.send(Operation.RST)
    guest.open_from_guest()


def test_the_guests_end_of_both_is_answered_with_a_reset(guest: Guest) -> None:
    host = guest.open_from_guest()
    guest.send(Operation.RW, b"last")
    guest.send(Operation.SHUTDOWN, flags=Shutdown.BOTH)
    assert guest.operations() == [Operation.RST]
    assert host.recv(100) == b"last"
    assert host.recv(100) == b""


def test_connections_take_turns(guest: Guest) -> None:
    guest.open_from_guest()
    guest.send(Operation.REQUEST, src_port=GUEST_PORT + 1)
    assert guest.operations() == [Operation.RESPONSE]
    for host in guest.accepted:
        host.sendall(bytes(20000))
    ports = []
    for _ in range(4):
        packet = guest.receive()
        assert packet is not None
        ports.append(packet[0].dst_port)
    assert ports[:2] == ports[2:]
    assert len(set(ports)) == 2


def test_a_guest_that_reads_nothing_is_not_served_without_end(guest: Guest) -> None:
    assert not guest.device.is_congested
    for _ in range(device_module.REPLIES_LIMIT):
        guest.send(Operation.RW, b"of no connection")
    assert guest.device.is_congested
    assert guest.device.has_packets
    guest.operations()
    assert not guest.device.is_congested
