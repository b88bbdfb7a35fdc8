# SPDX-License-Identifier: Apache-2.0
"""The test is QEMU: it sends requests, and looks at the rings that come of them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.memory import MemoryFault
from kata_host.guest.vsock.ring import Ring
from kata_host.guest.vsock.vhost_user import VhostUser
from kata_host.guest.vsock.vhost_user_message import (
    CONFIG,
    MEMORY_TABLE,
    PROTOCOL_F_CONFIG,
    PROTOCOL_F_REPLY_ACK,
    U64,
    VHOST_USER_F_PROTOCOL_FEATURES,
    VIRTIO_F_VERSION_1,
    VRING_ADDRESS,
    VRING_NO_FD,
    VRING_STATE,
    ProtocolError,
    Request,
    build,
    config_space,
)
from tests.helpers.virtio import CID, DriverRing, Qemu, SharedMemory


class Served:
    """A `VhostUser` whose requests are served in a thread until QEMU hangs up."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        self._theirs = theirs
        self.watched: list[int] = []
        self.device = VhostUser(
            theirs,
            config_space(CID),
            watch_kick=self._watch,
            unwatch_kick=self._unwatch,
        )
        self.qemu = Qemu(self.ours)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _watch(self, ring: Ring) -> None:
        self.watched.append(ring.index)

    def _unwatch(self, ring: Ring) -> None:
        # Before it is closed: the descriptor is still good.
        assert ring.kick is not None
        os.fstat(ring.kick)
        self.watched.remove(ring.index)

    def _run(self) -> None:
        try:
            while self.device.serve():
                pass
        except Exception as error:
            self.error = error
        self._theirs.close()

    def hang_up(self) -> Exception | None:
        """Close QEMU's socket; return the error that ended the serving, if any."""
        self.ours.close()
        self._thread.join(10)
        for ring in self.device.rings:
            for fd in (ring.kick, ring.call):
                if fd is not None:
                    os.close(fd)
            ring.kick = ring.call = None
        return self.error


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.hang_up()


@pytest.fixture
def qemu(served: Served) -> Qemu:
    return served.qemu


@pytest.fixture
def shared() -> Iterator[SharedMemory]:
    shared = SharedMemory()
    yield shared
    shared.close()


@pytest.fixture
def eventfd() -> Iterator[int]:
    fd = os.eventfd(0)
    yield fd
    os.close(fd)


def test_the_features_are_those_of_a_modern_device(qemu: Qemu) -> None:
    features = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES
    assert U64.parse(qemu.ask(Request.GET_FEATURES)) == features
    protocol = PROTOCOL_F_REPLY_ACK | PROTOCOL_F_CONFIG
    assert U64.parse(qemu.ask(Request.GET_PROTOCOL_FEATURES)) == protocol
    assert U64.parse(qemu.ask(Request.GET_QUEUE_NUM)) == 2


def test_the_configuration_is_read_in_parts(qemu: Qemu) -> None:
    wanted = build(CONFIG, {"offset": 0, "size": 8, "flags": 0}) + bytes(8)
    assert qemu.ask(Request.GET_CONFIG, wanted)[12:] == CID.to_bytes(8, "little")
    beyond = build(CONFIG, {"offset": 6, "size": 4, "flags": 0}) + bytes(4)
    assert qemu.ask(Request.GET_CONFIG, beyond)[12:] == bytes(4)


def test_a_ring_runs_when_qemu_has_handed_all_of_it_over(
    served: Served, shared: SharedMemory, eventfd: int
) -> None:
    served.qemu.share(shared)
    served.qemu.start_ring(1, DriverRing(shared, 0), eventfd, eventfd)
    ring = served.device.rings[1]
    assert ring.is_running
    assert served.watched == [1]
    assert not served.device.rings[0].is_running


def test_a_ring_stops_and_says_where_it_was(
    served: Served, shared: SharedMemory, eventfd: int
) -> None:
    driver = DriverRing(shared, 0)
    served.qemu.share(shared)
    served.qemu.start_ring(1, driver, eventfd, eventfd)
    driver.offer([(4096, 1)], writable=False)
    queue = served.device.rings[1].queue
    assert queue is not None
    queue.pop()
    state = build(VRING_STATE, {"index": 1, "value": 0})
    reply = VRING_STATE.parse(served.qemu.ask(Request.GET_VRING_BASE, state))
    assert (reply.index, reply.value) == (1, 1)
    assert not served.device.rings[1].is_running
    assert served.watched == []


def test_new_memory_keeps_the_rings(
    served: Served, shared: SharedMemory, eventfd: int
) -> None:
    served.qemu.share(shared)
    served.qemu.start_ring(1, DriverRing(shared, 0), eventfd, eventfd)
    first = served.device.rings[1].queue
    served.qemu.share(shared)
    second = served.device.rings[1].queue
    assert second is not None
    assert second is not first


def test_kicks_may_be_taken_away(
    served: Served, shared: SharedMemory, eventfd: int
) -> None:
    served.qemu.share(shared)
    served.qemu.start_ring(0, DriverRing(shared, 0), eventfd, eventfd)
    none = build(U64, VRING_NO_FD)
    served.qemu.send_and_wait(Request.SET_VRING_KICK, none)
    served.qemu.send_and_wait(Request.SET_VRING_CALL, none)
    ring = served.device.rings[0]
    assert (ring.kick, ring.call, served.watched) == (None, None, [])


def test_requests_without_an_effect_are_acknowledged(qemu: Qemu) -> None:
    qemu.send_and_wait(Request.SET_OWNER, b"")
    qemu.send_and_wait(Request.SET_FEATURES, build(U64, VIRTIO_F_VERSION_1))


def test_descriptors_that_are_not_kept_are_closed(
    qemu: Qemu, shared: SharedMemory, eventfd: int
) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    qemu.share(shared)
    before = descriptors()
    for _ in range(5):
        qemu.share(shared)
        qemu.send_and_wait(Request.SET_OWNER, b"", [eventfd])
    assert descriptors() == before


@pytest.mark.parametrize(
    ("request_", "payload", "message"),
    [
        (99, b"", "unknown request 99"),
        (
            Request.SET_VRING_NUM,
            build(VRING_STATE, {"index": 2, "value": 8}),
            "queue 2",
        ),
        (Request.SET_VRING_KICK, build(U64, 0), "no descriptor in SET_VRING_KICK"),
        (
            Request.SET_MEM_TABLE,
            build(MEMORY_TABLE, {"count": 0, "regions": []}),
            None,
        ),
    ],
)
def test_a_request_that_cannot_be_served_ends_the_connection(
    served: Served, request_: int, payload: bytes, message: str | None
) -> None:
    served.qemu.send(request_, payload)
    error = served.hang_up()
    if message is None:
        assert error is None
    else:
        assert isinstance(error, ProtocolError)
        assert message in str(error)


def test_regions_need_a_descriptor_each(served: Served) -> None:
    region = {"guest_address": 0, "size": 1, "user_address": 0, "offset": 0}
    table = build(MEMORY_TABLE, {"count": 1, "regions": [region]})
    served.qemu.send(Request.SET_MEM_TABLE, table)
    assert "0 descriptors for 1 regions" in str(served.hang_up())


def test_a_ring_without_memory_is_a_fault(served: Served) -> None:
    served.qemu.set_state(Request.SET_VRING_NUM, 0, 8)
    address = {"index": 0, "flags": 0, "log": 0}
    areas = {"descriptors": 0, "used": 0, "available": 0}
    served.qemu.send(Request.SET_VRING_ADDR, build(VRING_ADDRESS, {**address, **areas}))
    assert isinstance(served.hang_up(), MemoryFault)


def test_an_end_inside_a_request_is_an_error(served: Served) -> None:
    served.ours.sendall(bytes([1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0]) + b"half")
    assert "connection closed inside a request" in str(served.hang_up())
