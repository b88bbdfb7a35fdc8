# SPDX-License-Identifier: Apache-2.0
"""A ring that the test fills as a guest would, in memory of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.memory import MemoryFault
from kata_host.guest.vsock.virtqueue import Virtqueue, VirtqueueError
from tests.helpers.virtio import (
    GUEST_BASE,
    MEMORY_SIZE,
    RING_SIZE,
    DriverRing,
    SharedMemory,
)

DATA = 4096
NEXT, WRITE, INDIRECT = 1, 2, 4


@pytest.fixture
def shared() -> Iterator[SharedMemory]:
    shared = SharedMemory()
    yield shared
    shared.close()


@pytest.fixture
def driver(shared: SharedMemory) -> DriverRing:
    return DriverRing(shared, 0)


@pytest.fixture
def queue(shared: SharedMemory, driver: DriverRing) -> Virtqueue:
    return device_side(shared, driver)


def device_side(
    shared: SharedMemory, driver: DriverRing, *, writable: bool = False, start: int = 0
) -> Virtqueue:
    memory = shared.guest_memory()
    return Virtqueue(
        memory, driver.size, **driver.addresses, next_index=start, writable=writable
    )


def test_an_empty_ring_has_no_chain(queue: Virtqueue) -> None:
    assert queue.pop() is None


def test_chains_come_in_the_order_in_which_they_were_offered(
    shared: SharedMemory, driver: DriverRing, queue: Virtqueue
) -> None:
    shared.view[DATA : DATA + 6] = b"abcdef"
    first = driver.offer([(DATA, 2), (DATA + 2, 1)], writable=False)
    second = driver.offer([(DATA + 3, 3)], writable=False)
    chain = queue.pop()
    assert chain is not None
    assert (chain.head, chain.size) == (first, 3)
    assert [bytes(buffer) for buffer in chain.buffers] == [b"ab", b"c"]
    chain = queue.pop()
    assert chain is not None
    assert (chain.head, bytes(chain.buffers[0])) == (second, b"def")
    assert queue.pop() is None


def test_a_chain_that_is_put_back_is_the_next_again(
    driver: DriverRing, queue: Virtqueue
) -> None:
    driver.offer([(DATA, 1)], writable=False)
    first = queue.pop()
    queue.put_back()
    assert queue.pop() == first


def test_given_back_chains_tell_their_length(
    shared: SharedMemory, driver: DriverRing
) -> None:
    queue = device_side(shared, driver, writable=True)
    head = driver.offer([(DATA, 10)], writable=True)
    chain = queue.pop()
    assert chain is not None
    chain.buffers[0][:3] = b"abc"
    assert driver.take_used() is None
    queue.push(chain, 3)
    assert driver.take_used() == (head, 3)
    assert bytes(shared.view[DATA : DATA + 3]) == b"abc"


def test_the_ring_goes_round(driver: DriverRing, queue: Virtqueue) -> None:
    for _ in range(3 * RING_SIZE + 1):
        head = driver.offer([(DATA, 1)], writable=False)
        chain = queue.pop()
        assert chain is not None
        queue.push(chain, 0)
        assert driver.take_used() == (head, 0)


def test_a_ring_goes_on_at_the_index_that_it_is_given(
    shared: SharedMemory, driver: DriverRing
) -> None:
    driver.offer([(DATA, 1)], writable=False)
    driver.offer([(DATA, 2)], writable=False)
    chain = device_side(shared, driver, start=1).pop()
    assert chain is not None
    assert chain.size == 2


@pytest.mark.parametrize("size", [0, 3, 6, 65536])
def test_an_invalid_size_is_an_error(shared: SharedMemory, size: int) -> None:
    with pytest.raises(VirtqueueError, match=f"invalid size {size}"):
        device_side(shared, DriverRing(shared, 0, size=size))


def test_more_chains_than_slots_are_an_error(
    driver: DriverRing, queue: Virtqueue
) -> None:
    for _ in range(RING_SIZE + 1):
        driver.offer_head(0)
    with pytest.raises(VirtqueueError, match="9 chains offered in 8 slots"):
        queue.pop()


def test_a_chain_that_ends_in_itself_is_an_error(
    driver: DriverRing, queue: Virtqueue
) -> None:
    driver.write_descriptor(0, GUEST_BASE, 1, NEXT, following=0)
    driver.offer_head(0)
    with pytest.raises(VirtqueueError, match="endless chain from descriptor 0"):
        queue.pop()


@pytest.mark.parametrize("head", [RING_SIZE, 0xFFFF])
def test_a_descriptor_outside_of_the_table_is_an_error(
    driver: DriverRing, queue: Virtqueue, head: int
) -> None:
    driver.offer_head(head)
    with pytest.raises(VirtqueueError, match=f"no descriptor {head}"):
        queue.pop()


@pytest.mark.parametrize("flags", [WRITE, INDIRECT])
def test_a_buffer_of_another_kind_is_an_error(
    driver: DriverRing, queue: Virtqueue, flags: int
) -> None:
    driver.write_descriptor(0, GUEST_BASE, 1, flags)
    driver.offer_head(0)
    with pytest.raises(VirtqueueError, match=f"descriptor 0 has flags {flags:#x}"):
        queue.pop()


def test_a_buffer_outside_of_the_memory_is_a_fault(
    driver: DriverRing, queue: Virtqueue
) -> None:
    driver.write_descriptor(0, GUEST_BASE + MEMORY_SIZE - 1, 2, 0)
    driver.offer_head(0)
    with pytest.raises(MemoryFault):
        queue.pop()


def test_a_ring_outside_of_the_memory_is_a_fault(shared: SharedMemory) -> None:
    with pytest.raises(MemoryFault):
        device_side(shared, DriverRing(shared, MEMORY_SIZE - 64))
