# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.recorded import API
from ttrpc.envelope_pb2 import Request, Response
from ttrpc.frame import DATA, MESSAGE_LIMIT, REQUEST, RESPONSE, Frame
from ttrpc.recording.recorder import Recorder

PAYLOAD = BytesValue(value=b"abc").SerializeToString()
CALL = Frame(
    1,
    REQUEST,
    0,
    Request(service="peer.v1.Echo", method="Len", payload=PAYLOAD).SerializeToString(),
).serialize()
ANSWER = Frame(
    1,
    RESPONSE,
    0,
    Response(payload=UInt64Value(value=3).SerializeToString()).SerializeToString(),
).serialize()


def recorded(*received: tuple[bytes, bool]) -> list[Mapping[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    recorder = Recorder(4, [API], lines.append, redacts=False)
    for data, up in received:
        recorder.receive(data, up=up)
    return lines


def test_bytes_may_arrive_in_any_pieces() -> None:
    lines = recorded(
        *((CALL[index : index + 1], True) for index in range(len(CALL))),
        (ANSWER[:5], False),
        (ANSWER[5:], False),
    )
    call, answer = lines
    assert (call["call"], call["req"], call["connection"]) == (
        "Len",
        "YWJj",
        4,
    )
    assert (answer["answer"], answer["resp"]) == ("Len", "3")
    assert answer["ms"] >= 0


def test_a_message_that_cannot_be_read_is_told() -> None:
    broken = Frame(1, REQUEST, 0, b"\xff").serialize()
    (line,) = recorded((broken, True))
    assert line["sid"] == 1
    assert "unreadable" in line


def test_a_frame_over_the_limit_is_told() -> None:
    size = MESSAGE_LIMIT + 1
    header = size.to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([REQUEST, 0])
    (line,) = recorded((header + bytes(size), True))
    assert line["oversized"] == size


def test_an_answer_of_no_known_call_is_recorded() -> None:
    (line,) = recorded((ANSWER, False))
    assert line["answer"] == ""
    assert line["payload"] == "CAM="


def test_data_of_no_known_call_is_left_out() -> None:
    assert not recorded((Frame(9, DATA, 0, b"").serialize(), False))
