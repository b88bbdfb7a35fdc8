# SPDX-License-Identifier: Apache-2.0
"""Sessions between Go's client and Go's server, kept as data (`data/record.py`).

Our server gets the bytes of Go's client, and must give the answers that Go's
server gave.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.frames import raw_frames
from tests.helpers.wire import HEADER, Frame, Wire
from tests.ttrpc.data.record import GOLDEN, SCENARIOS
from ttrpc.envelope import encode_request, request_head
from ttrpc.frame import REQUEST
from ttrpc.frame import Frame as OurFrame

TEXTS_OF_OURS: Final = {
    "nil_response": (
        b"handler or interceptor returned nothing, not its method's response"
    ),
}
"""Go's text names its marshaller."""


CODE_99, UNKNOWN = b"\x08c", b"\x08\x02"
"""Field 1 of a Status. Ours sends no code that gRPC does not define."""


@dataclass(frozen=True, slots=True)
class Session:
    """The frames that each side sent."""

    client: list[Frame]
    server: list[Frame]


def load(path: Path) -> Session:
    frames: dict[str, list[Frame]] = {">": [], "<": []}
    for line in path.read_text().splitlines():
        mark, header, *body = line.split()
        _, stream_id, kind, flags = HEADER.unpack(bytes.fromhex(header))
        frames[mark].append(Frame(stream_id, kind, flags, bytes.fromhex("".join(body))))
    return Session(frames[">"], frames["<"])


SESSIONS: Final = {name: load(GOLDEN / f"{name}.txt") for name in SCENARIOS}


def by_stream(frames: list[Frame]) -> dict[int, list[Frame]]:
    """Order holds on a stream, not between streams."""
    streams: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        streams[frame.stream_id].append(frame)
    return streams


@pytest.mark.parametrize("name", SCENARIOS)
def test_our_server_answers_as_go_does(name: str, our_server: str) -> None:
    session = SESSIONS[name]
    expected = session.server
    if name in TEXTS_OF_OURS:
        go = b"ttrpc: marshal called with nil"
        assert any(go in frame.body for frame in expected)
        expected = [frame for frame in expected if go not in frame.body]
    if name == "code_unknown":
        expected = [
            replace(frame, body=frame.body.replace(CODE_99, UNKNOWN))
            for frame in expected
        ]
    with Wire(our_server) as wire:
        wire.send(*session.client)
        answers = wire.receive_many(len(session.server))
    if name in TEXTS_OF_OURS:
        answers = [f for f in answers if TEXTS_OF_OURS[name] not in f.body]
    assert by_stream(answers) == by_stream(expected)


@pytest.mark.parametrize("name", SCENARIOS)
def test_our_decoder_reads_both_sides(name: str) -> None:
    session = SESSIONS[name]
    for side in (session.client, session.server):
        data = b"".join(map(bytes, side))
        frames = [
            Frame(stream_id, kind, flags, bytes(body))
            for stream_id, kind, flags, body in raw_frames(data)
        ]
        assert frames == side
        assert (
            b"".join(
                OurFrame(f.stream_id, f.type, f.flags, f.body).serialize() for f in side
            )
            == data
        )


def test_our_request_is_go_s_byte_for_byte() -> None:
    """The call `Echo(b"hi")`, as the core encodes it."""
    head = request_head("peer.v1.Echo", "Echo")
    body = b"".join(encode_request(head, b"\x0a\x02hi"))
    assert [Frame(1, REQUEST, 0, body)] == SESSIONS["echo"].client


def test_the_sessions_are_all_there() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SCENARIOS)
