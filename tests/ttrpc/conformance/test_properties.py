# SPDX-License-Identifier: Apache-2.0
"""Properties that hold for all bytes, and for every way to split them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.replay import (
    LIMIT,
    SERVICE,
    Event,
    check,
    check_capture,
    check_request,
    receive,
    serve,
)
from ttrpc.envelope_pb2 import KeyValue, Request, Response, Status
from ttrpc.frame import Frame

ROOT: Final = Path(__file__).parents[3]
CORPUS: Final = sorted((ROOT / "fuzz" / "corpus").iterdir())
METHODS: Final = ("Echo", "EchoStream", "Upload", "Download", "NoSuch")
SIDES: Final = (serve, receive)

Side = Callable[[bytes, Iterator[int]], tuple[list[Event], bytes]]

texts = st.text(max_size=5)
requests = st.builds(
    Request,
    service=st.sampled_from([SERVICE.name, "no.Such", ""]),
    method=st.sampled_from(METHODS),
    payload=st.binary(max_size=20),
    timeout_nano=st.integers(-1, 2),
    metadata=st.lists(st.builds(KeyValue, key=texts, value=texts), max_size=2),
).map(Request.SerializeToString)
responses = st.builds(
    Response,
    status=st.none() | st.builds(Status, code=st.integers(-1, 99), message=texts),
    payload=st.binary(max_size=20),
).map(Response.SerializeToString)
large = st.sampled_from([16383, 16384, 20000, LIMIT, LIMIT + 1]).map(bytes)
frames = st.builds(
    Frame,
    stream_id=st.integers(0, 40) | st.integers(0, 0xFFFFFFFF),
    type=st.integers(0, 4),
    flags=st.integers(0, 7) | st.integers(0, 255),
    payload=requests | responses | st.binary(max_size=20) | large,
)
sessions = st.lists(frames, max_size=12).map(
    lambda session: b"".join(frame.serialize() for frame in session)
)
splits = st.lists(st.integers(1, 100) | st.integers(1, 60_000), max_size=20)


def cut(sizes: list[int]) -> Iterator[int]:
    """Return the sizes of the pieces: those given, then one with the rest."""
    return itertools.chain(sizes, itertools.repeat(1 << 30))


@pytest.mark.parametrize("side", SIDES)
@given(session=sessions, split=splits)
def test_any_split_gives_the_same_events(
    side: Side, session: bytes, split: list[int]
) -> None:
    assert side(session, cut(split)) == side(session, cut([]))


@pytest.mark.parametrize("side", SIDES)
@given(data=st.binary(max_size=200), split=splits)
def test_any_bytes_give_events_and_never_an_exception(
    side: Side, data: bytes, split: list[int]
) -> None:
    events, _ = side(data, cut(split))
    # The most that one frame can do: open a stream, with its message and its end.
    assert len(events) <= 3 * (len(data) // 10)


HEAD: Final = Request(service=SERVICE.name, method="Echo").SerializeToString()


@given(
    st.binary(max_size=60)
    | requests
    | st.lists(requests, max_size=3).map(b"".join)
    | st.binary(max_size=30).map(lambda rest: HEAD + rest)
)
@example(HEAD + b"\x1a\x03abc\x1a\x00")
@example(HEAD + b"\x1a\x03abc\x20\x01\x12\x00")
@example(HEAD + b"\x1a\x83\x80\x80\x80\x00abc")
def test_requests_are_read_as_protobuf_reads_them(body: bytes) -> None:
    check_request(body)


@given(st.binary(max_size=200) | sessions)
@example(b"> 00")
@example(b"> \xff")
@example(b"> 1 length=1 from=0 to=0\n 0")
def test_captures_are_shown_or_refused(capture: bytes) -> None:
    check_capture(capture)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_inputs_that_the_fuzzer_kept(path: Path) -> None:
    """Each input as `fuzz.frames` runs it, which needs no fuzzer."""
    check(path.read_bytes())
