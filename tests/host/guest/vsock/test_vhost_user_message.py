# SPDX-License-Identifier: Apache-2.0
"""The layouts against bytes that were written out by hand from QEMU's document."""

from __future__ import annotations

from kata_host.guest.vsock.vhost_user_message import (
    HEADER,
    MEMORY_TABLE,
    VRING_ADDRESS,
    Request,
    build,
    config_space,
)


def test_a_header_is_three_little_endian_words() -> None:
    fields = {"request": Request.SET_VRING_NUM, "flags": 9, "size": 8}
    assert build(HEADER, fields) == bytes([8, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0])


def test_a_memory_table_has_padding_behind_its_count() -> None:
    region = {"guest_address": 1, "size": 2, "user_address": 3, "offset": 4}
    data = build(MEMORY_TABLE, {"count": 1, "regions": [region]})
    assert data[:8] == bytes([1, 0, 0, 0, 0, 0, 0, 0])
    assert len(data) == 8 + 4 * 8
    assert MEMORY_TABLE.parse(data).regions[0].user_address == 3


def test_a_ring_address_lists_descriptors_used_and_available() -> None:
    data = (
        b"\x01\0\0\0"
        + bytes(4)
        + b"".join(n.to_bytes(8, "little") for n in (5, 6, 7, 8))
    )
    address = VRING_ADDRESS.parse(data)
    assert (address.index, address.descriptors, address.used) == (1, 5, 6)
    assert (address.available, address.log) == (7, 8)


def test_the_configuration_is_the_cid_in_eight_bytes() -> None:
    assert config_space(3) == b"\x03" + bytes(7)
