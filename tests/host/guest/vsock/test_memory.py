# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.memory import GuestMemory, MemoryFault, Region
from tests.helpers.virtio import GUEST_BASE, MEMORY_SIZE, USER_BASE, SharedMemory


@pytest.fixture
def shared() -> Iterator[SharedMemory]:
    shared = SharedMemory()
    yield shared
    shared.close()


def test_both_kinds_of_address_name_the_same_bytes(shared: SharedMemory) -> None:
    memory = shared.guest_memory()
    shared.view[100:105] = b"hello"
    assert bytes(memory.guest_range(GUEST_BASE + 100, 5)) == b"hello"
    assert bytes(memory.user_range(USER_BASE + 100, 5)) == b"hello"


def test_the_host_writes_into_the_guests_memory(shared: SharedMemory) -> None:
    memory = shared.guest_memory()
    memory.guest_range(GUEST_BASE, 3)[:] = b"abc"
    assert bytes(shared.view[:3]) == b"abc"


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (0, 1),
        (GUEST_BASE - 1, 1),
        (GUEST_BASE + MEMORY_SIZE, 1),
        (GUEST_BASE + MEMORY_SIZE - 1, 2),
        (GUEST_BASE, MEMORY_SIZE + 1),
        ((1 << 64) - 1, 0xFFFFFFFF),
    ],
)
def test_a_range_outside_is_a_fault(
    shared: SharedMemory, address: int, length: int
) -> None:
    with pytest.raises(MemoryFault, match=f"{address:#x}"):
        shared.guest_memory().guest_range(address, length)


def test_a_range_across_two_regions_is_a_fault(shared: SharedMemory) -> None:
    page = mmap.PAGESIZE
    memory = GuestMemory(
        Region.map(n * page, page, USER_BASE + n * page, offset=n * page, fd=shared.fd)
        for n in range(2)
    )
    assert len(memory.guest_range(page, page)) == page
    with pytest.raises(MemoryFault):
        memory.guest_range(page - 1, 2)
    with pytest.raises(MemoryFault, match="QEMU's"):
        memory.user_range(USER_BASE + page - 1, 2)


def test_a_region_begins_at_its_offset_in_the_file(shared: SharedMemory) -> None:
    page = mmap.PAGESIZE
    os.pwrite(shared.fd, b"second page", page)
    region = Region.map(0, page, 0, offset=page, fd=shared.fd)
    assert bytes(region.view[:11]) == b"second page"


def test_memory_without_regions_has_no_bytes() -> None:
    with pytest.raises(MemoryFault):
        GuestMemory().guest_range(0, 0)
