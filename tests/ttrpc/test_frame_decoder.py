# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrpc.frame import (
    DATA,
    HEADER_SIZE,
    HEADER_STRUCT,
    MESSAGE_LIMIT,
    Frame,
    Oversized,
    ReceivedFrame,
)
from ttrpc.frame_decoder import FIRST_BUFFER, GROWTH, LARGE, FrameDecoder
from ttrpc.quota import PATIENCE, Quota
from ttrpc.share import Share

LIMIT = 1 << 18
SIZES = st.sampled_from([0, 1, 100, LARGE - 1, LARGE, 200_000, LIMIT, LIMIT + 1])


def in_place(decoder: FrameDecoder, data: bytes, step: int) -> list[ReceivedFrame]:
    """Receive as a socket does: into the decoder's own buffer when there is one."""
    frames = []
    while data:
        buffer = decoder.large_buffer
        size = min(step, len(data) if buffer is None else len(buffer), len(data))
        piece, data = data[:size], data[size:]
        if buffer is None:
            frames += decoder.receive(piece)
        else:
            buffer[: len(piece)] = piece
            frames += decoder.fill(len(piece))
    return frames


def expected(frame: Frame) -> ReceivedFrame:
    size = len(frame.payload)
    if size > LIMIT:
        return Oversized(frame.stream_id, size)
    return frame.stream_id, frame.type, frame.flags, frame.payload


@given(st.lists(SIZES, max_size=4), st.sampled_from([1000, 4096, 65_536, 1 << 20]))
def test_frames_come_out_however_they_are_cut(sizes: list[int], step: int) -> None:
    frames = [
        Frame(number, DATA, 1, bytes([number]) * size)
        for number, size in enumerate(sizes)
    ]
    data = b"".join(frame.serialize() for frame in frames)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    for received in (
        [
            it
            for decoder in [FrameDecoder(LIMIT)]
            for it in in_place(decoder, data, step)
        ],
        [
            it
            for decoder in [FrameDecoder(LIMIT)]
            for piece in pieces
            for it in decoder.receive(piece)
        ],
    ):
        # A memoryview equals the bytes that it shows.
        assert received == [expected(frame) for frame in frames]


@pytest.mark.parametrize("size", [5, LARGE, LIMIT + 1])
def test_it_is_idle_between_frames_only(size: int) -> None:
    decoder = FrameDecoder(LIMIT)
    data = Frame(1, DATA, 0, bytes(size)).serialize()
    assert decoder.is_idle
    assert not in_place(decoder, data[:-1], 1 << 16)
    assert not decoder.is_idle
    assert in_place(decoder, data[-1:], 1)
    assert decoder.is_idle


def test_a_promise_costs_nothing_until_it_is_kept() -> None:
    """The buffer is a few times the received bytes, however many were announced."""
    decoder = FrameDecoder()
    decoder.receive(HEADER_STRUCT.pack(MESSAGE_LIMIT, 1, DATA, 0))
    came = 0
    while decoder.large_buffer is not None:
        buffer = decoder.large_buffer
        assert came + len(buffer) <= max(FIRST_BUFFER, GROWTH * came)
        came += len(buffer)
        decoder.fill(len(buffer))
    assert came == MESSAGE_LIMIT


def test_a_payload_over_the_limit_is_not_kept() -> None:
    decoder = FrameDecoder(10)
    decoder.receive(HEADER_STRUCT.pack(0xFFFFFFFF, 1, DATA, 0))
    decoder.receive(bytes(100_000))
    assert decoder.large_buffer is None
    assert not decoder.is_idle


def test_the_buffer_of_a_large_frame_is_counted_until_it_is_whole() -> None:
    share = Share(Quota(LIMIT), LIMIT)
    decoder = FrameDecoder(LIMIT, share=share)
    data = Frame(1, DATA, 0, bytes(LIMIT)).serialize()
    assert decoder.receive(data[:LARGE]) == []
    assert decoder.large_buffer is not None
    assert share.size == LARGE - HEADER_SIZE + len(decoder.large_buffer)
    (frame,) = decoder.receive(data[LARGE:])
    assert len(frame[3]) == LIMIT  # type: ignore[misc]  # it is no Oversized
    assert share.size == 0


def test_a_large_frame_that_is_given_up_is_not_counted() -> None:
    share = Share(Quota(LIMIT), LIMIT)
    decoder = FrameDecoder(LIMIT, share=share)
    decoder.receive(Frame(1, DATA, 0, bytes(LIMIT)).serialize()[:LARGE])
    decoder.release()
    assert share.size == 0
    assert decoder.is_idle


def test_a_large_frame_gives_way_to_one_of_another_peer() -> None:
    now = 0.0
    quota = Quota(LIMIT, clock=lambda: now)
    data = Frame(1, DATA, 0, bytes(LIMIT)).serialize()
    first = FrameDecoder(LIMIT, share=Share(quota, LIMIT))
    first.receive(data[:-1])
    Share(quota, LIMIT).resize(1)
    second = FrameDecoder(LIMIT, share=Share(quota, LIMIT))
    now += PATIENCE
    assert second.receive(data[:-1]) == []
    assert first.large_buffer is None
    assert quota.used == LIMIT + 1
    # Its own age is no reason to end: there is no other that could go on.
    now += PATIENCE
    assert first.receive(data[-1:]) == [Oversized(1, LIMIT)]
    (frame,) = second.receive(data[-1:])
    assert not isinstance(frame, Oversized)
    assert (quota.used, quota.large_frames) == (1, set())


@pytest.mark.parametrize("used", [0, LIMIT])
@pytest.mark.parametrize("step", [LARGE, LARGE + 1000])
def test_a_large_frame_without_room_is_discarded(used: int, step: int) -> None:
    """The frames before and behind it come out."""
    length = 2 * GROWTH * step
    quota = Quota(LIMIT)
    Share(quota, LIMIT).resize(used + 1)
    share = Share(quota, FIRST_BUFFER - 1)
    decoder = FrameDecoder(length, share=share)
    small = Frame(3, DATA, 0, b"x").serialize()
    large = Frame(1, DATA, 0, bytes(length)).serialize()
    session = small + large + small
    frames = [
        frame
        for at in range(0, len(session), step)
        for frame in decoder.receive(session[at : at + step])
    ]
    assert frames == [(3, DATA, 0, b"x"), Oversized(1, length), (3, DATA, 0, b"x")]
    assert share.size == 0
    assert decoder.is_idle
