# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrpc.frame import DATA, HEADER, HEADER_STRUCT, Flags, Frame, MessageType

fields = st.tuples(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.integers(0, 255),
)


@given(fields)
def test_struct_and_declaration_are_the_same(values: tuple[int, int, int, int]) -> None:
    names = ("length", "stream_id", "type", "flags")
    data = HEADER.build(dict(zip(names, values, strict=True)))
    assert data == HEADER_STRUCT.pack(*values)
    parsed = HEADER.parse(data)
    assert tuple(parsed[name] for name in names) == HEADER_STRUCT.unpack(data)


@given(
    st.builds(
        Frame,
        stream_id=st.integers(0, 0xFFFFFFFF),
        type=st.integers(0, 255),
        flags=st.integers(0, 255),
        payload=st.binary(max_size=100),
    )
)
def test_a_frame_is_read_as_it_was_written(frame: Frame) -> None:
    assert Frame.parse(frame.serialize()) == frame
    assert str(frame).isprintable()


def test_the_layout_is_that_of_the_protocol() -> None:
    frame = Frame(0x01020304, MessageType.DATA, Flags.NO_DATA, b"ab")
    assert frame.serialize() == bytes.fromhex("00000002 01020304 03 04") + b"ab"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "frame: 0 bytes, the header has 10"),
        (bytes(9), "frame: 9 bytes, the header has 10"),
        (b"\0\0\0\1" + bytes(6), "frame: 0 bytes of payload, the header says 1"),
        (bytes(11), "frame: 1 bytes of payload, the header says 0"),
    ],
)
def test_bytes_that_are_not_one_frame_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        Frame.parse(data)


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (Frame(1, 1, 6), "stream 1 REQUEST [REMOTE_OPEN|NO_DATA] 0 bytes"),
        (Frame(3, DATA, 0, b"abc"), "stream 3 DATA 3 bytes"),
        (Frame(3, 2, 0xF0), "stream 3 RESPONSE [0xf0] 0 bytes"),
        (Frame(0, 9), "stream 0 type 9 0 bytes"),
    ],
)
def test_a_frame_shows_its_type_and_flags(frame: Frame, shown: str) -> None:
    assert str(frame) == shown
