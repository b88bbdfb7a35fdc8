# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.memory import MemoryFault
from kata_host.guest.vsock.ring import RECEIVE_QUEUE, TRANSMIT_QUEUE, Ring
from kata_host.guest.vsock.virtqueue import VirtqueueError
from tests.helpers.virtio import DriverRing, SharedMemory


@pytest.fixture
def shared() -> Iterator[SharedMemory]:
    shared = SharedMemory()
    yield shared
    shared.close()


@pytest.fixture
def driver(shared: SharedMemory) -> DriverRing:
    return DriverRing(shared, 0)


@pytest.fixture
def ring(driver: DriverRing) -> Ring:
    return Ring(TRANSMIT_QUEUE, size=driver.size, addresses=driver.addresses)


def test_a_ring_runs_when_it_is_mapped_enabled_and_has_kicks(
    shared: SharedMemory, ring: Ring
) -> None:
    assert not ring.is_running
    ring.map(shared.guest_memory())
    ring.enabled = True
    assert not ring.is_running
    ring.kick = 0
    assert ring.is_running


def test_new_memory_keeps_the_place_in_the_ring(
    shared: SharedMemory, driver: DriverRing, ring: Ring
) -> None:
    ring.map(shared.guest_memory())
    for length in (1, 2):
        driver.offer([(4096, length)], writable=False)
    assert ring.queue is not None
    ring.queue.pop()
    ring.remap(shared.guest_memory())
    chain = ring.queue.pop()
    assert chain is not None
    assert chain.size == 2


def test_new_memory_does_not_map_a_ring_that_was_not_mapped(
    shared: SharedMemory, ring: Ring
) -> None:
    ring.remap(shared.guest_memory())
    assert ring.queue is None


def test_an_unmapped_ring_remembers_its_next_entry(
    shared: SharedMemory, driver: DriverRing, ring: Ring
) -> None:
    ring.map(shared.guest_memory())
    driver.offer([(4096, 1)], writable=False)
    assert ring.queue is not None
    ring.queue.pop()
    ring.unmap()
    assert (ring.queue, ring.base) == (None, 1)


def test_only_the_receive_queue_has_buffers_for_the_device_to_write(
    shared: SharedMemory, driver: DriverRing
) -> None:
    ring = Ring(RECEIVE_QUEUE, size=driver.size, addresses=driver.addresses)
    ring.map(shared.guest_memory())
    driver.offer([(4096, 1)], writable=False)
    assert ring.queue is not None
    with pytest.raises(VirtqueueError):
        ring.queue.pop()


def test_a_ring_outside_of_the_memory_is_a_fault(
    shared: SharedMemory, ring: Ring
) -> None:
    ring.addresses = {**ring.addresses, "used": 0}
    with pytest.raises(MemoryFault):
        ring.map(shared.guest_memory())


def test_an_interrupt_is_written_to_the_guests_eventfd(ring: Ring) -> None:
    ring.interrupt()  # Without one, nothing happens.
    ring.call = os.eventfd(0, os.EFD_NONBLOCK)
    ring.interrupt()
    assert os.eventfd_read(ring.call) == 1
    os.close(ring.call)
