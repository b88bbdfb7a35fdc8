# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.vsock.packet import (
    HEADER,
    HEADER_SIZE,
    LAYOUT,
    Header,
    parse_header,
)

NUMBERS = Header(3, 2, 1024, 1 << 30, 5, 1, 5, 0, 1 << 18, 7)


def test_the_derived_struct_packs_what_the_layout_declares() -> None:
    assert HEADER.pack(*NUMBERS) == LAYOUT.build(NUMBERS._asdict())


def test_a_header_has_44_bytes_and_is_little_endian() -> None:
    assert HEADER_SIZE == 44
    assert HEADER.pack(*NUMBERS)[:8] == b"\x03\0\0\0\0\0\0\0"


def test_a_header_is_parsed_from_the_start_of_a_packet() -> None:
    assert parse_header(HEADER.pack(*NUMBERS) + b"hello") == NUMBERS


def test_an_unknown_operation_is_kept_as_its_number() -> None:
    header = NUMBERS._replace(operation=999)
    assert parse_header(HEADER.pack(*header)).operation == 999


def test_a_short_packet_is_an_error() -> None:
    with pytest.raises(ValueError, match="43 bytes, the header has 44"):
        parse_header(bytes(43))
