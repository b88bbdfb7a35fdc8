# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.vsock.buffers import cut


@pytest.mark.parametrize(
    ("start", "length", "parts"),
    [
        (0, 9, [b"abc", b"de", b"fghi"]),
        (0, 2, [b"ab"]),
        (3, 2, [b"de"]),
        (2, 5, [b"c", b"de", b"fg"]),
        (4, 100, [b"e", b"fghi"]),
        (9, 5, []),
        (0, 0, []),
    ],
)
def test_a_cut_is_the_same_bytes_of_all_buffers_together(
    start: int, length: int, parts: list[bytes]
) -> None:
    buffers = [memoryview(part) for part in (b"abc", b"de", b"", b"fghi")]
    assert [bytes(part) for part in cut(buffers, start, length)] == parts


def test_the_parts_are_views_and_no_copies() -> None:
    data = bytearray(b"abc")
    (part,) = cut([memoryview(data)], 1, 1)
    part[0] = ord("x")
    assert data == b"axc"
