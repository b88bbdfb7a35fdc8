# SPDX-License-Identifier: Apache-2.0
"""Frames of the shell port, by bytes that docs/design/shell.md describes."""

from __future__ import annotations

import pytest

from kata_agent.console.framed_wire import LIMIT, FramedWire

KEYS = b"\0" + b"\0\0\0\2" + b"ls"
SIZE = b"\4" + b"\0\0\0\4" + b"\0\x1e\0\x64"


def test_keys_and_sizes_come_in_any_pieces() -> None:
    sent = KEYS + SIZE + KEYS
    for length in range(1, len(sent) + 1):
        wire = FramedWire()
        pieces = [sent[i : i + length] for i in range(0, len(sent), length)]
        assert b"".join(map(wire.received, pieces)) == b"lsls"
        assert wire.size == (30, 100)


def test_there_is_no_size_before_the_first() -> None:
    wire = FramedWire()
    assert wire.received(KEYS + SIZE[:-1]) == b"ls"
    assert wire.size is None


def test_the_last_of_several_sizes_counts() -> None:
    wire = FramedWire()
    assert wire.received(SIZE + b"\4" + b"\0\0\0\4" + b"\0\1\0\2") == b""
    assert wire.size == (1, 2)


def test_output_and_the_status_are_framed() -> None:
    wire = FramedWire()
    assert wire.output(b"hi\n") == b"\1" + b"\0\0\0\3" + b"hi\n"
    assert wire.ended(130) == b"\3" + b"\0\0\0\4" + b"\0\0\0\x82"


@pytest.mark.parametrize(
    "frame",
    [
        # Too long, before any of it has come.
        b"\0" + (LIMIT + 1).to_bytes(4),
        b"\0" + b"\xff\xff\xff\xff",
        b"\4" + b"\0\0\0\3",
        b"\4" + b"\0\0\0\5",
        # What only the guest sends, and what nobody does.
        b"\1" + b"\0\0\0\0",
        b"\3" + b"\0\0\0\4",
        b"\2" + b"\0\0\0\0",
        b"C" + b"ONNE",
    ],
)
def test_another_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"shell: frame of kind \d+ with \d+ bytes"):
        FramedWire().received(KEYS + frame)
