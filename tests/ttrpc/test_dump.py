# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from ttrpc.codes import Code
from ttrpc.dump import Piece, describe, read_capture
from ttrpc.envelope import encode_error, response_head
from ttrpc.envelope_pb2 import KeyValue, Request, Response, Status
from ttrpc.errors import StatusError
from ttrpc.frame import DATA, MESSAGE_LIMIT, REQUEST, RESPONSE, Frame

REQUEST_BODY = Request(
    service="peer.v1.Echo",
    method="Echo",
    payload=b"\x0a\x02hi",
    timeout_nano=1_500_000_000,
    metadata=[KeyValue(key="key", value="a\x1bb")],
).SerializeToString()
CALL = Frame(1, REQUEST, 0, REQUEST_BODY).serialize()
ANSWER = Frame(1, RESPONSE, 0, response_head(4) + b"\x0a\x02hi").serialize()
SHOWN = [
    f"> stream 1 REQUEST {len(REQUEST_BODY)} bytes",
    "    /peer.v1.Echo/Echo, timeout 1.5 s, key=a\\x1bb, payload 4 bytes 0a026869",
    "< stream 1 RESPONSE 6 bytes",
    "    OK, payload 4 bytes 0a026869",
]


def dump(capture: bytes) -> list[str]:
    return list(describe(read_capture(capture)))


def show(*frames: Frame) -> list[str]:
    data = b"".join(frame.serialize() for frame in frames)
    return list(describe([Piece("", data)]))


def test_lines_of_hexadecimal() -> None:
    capture = f"> {CALL.hex()}\n< {ANSWER[:5].hex(' ')}\n< {ANSWER[5:].hex(' ')}\n"
    assert dump(capture.encode()) == SHOWN


def test_the_forms_that_socat_writes() -> None:
    capture = (
        f"> 2026/11/25 21:40:46.000934409  length={len(CALL)} from=0 to=9\n"
        f" {CALL.hex(' ')}\n"
        "< 2026/11/25 21:40:46.000936535  length=3 from=0 to=2\n"
        f" {ANSWER[:3].hex(' ')}\n"
        f"< 2026/11/25 21:40:47.000936535  length=13 from=3 to=15\n"
        f" {ANSWER[3:].hex(' ')}\n"
        "2026/11/25 21:40:48 socat[7] E read(5, 0x1, 8192): Connection reset by peer\n"
    )
    assert dump(capture.encode()) == SHOWN


def test_the_bytes_of_one_direction() -> None:
    assert dump(CALL) == [SHOWN[0][2:], SHOWN[1]]


def test_an_empty_capture_has_no_lines() -> None:
    assert dump(b"") == []


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (b"> 00\n< zz", "line 2: not bytes in hexadecimal: '< zz'"),
        (b"> 000", "line 1: not bytes in hexadecimal: '> 000'"),
        (b"> \x1b\xff", "line 1: not bytes in hexadecimal: '> \\\\x1b\ufffd'"),
        (b"> 00\n00", "line 2: not bytes in hexadecimal: '00'"),
    ],
)
def test_text_that_is_no_capture_is_refused(capture: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        dump(capture)


def test_streams() -> None:
    assert show(
        Frame(1, REQUEST, 6, b""),
        Frame(1, DATA, 0, bytes(40)),
        Frame(1, DATA, 0, b""),
        Frame(1, DATA, 5, b""),
    ) == [
        "stream 1 REQUEST [REMOTE_OPEN|NO_DATA] 0 bytes",
        "    //, payload 0 bytes",
        "stream 1 DATA 40 bytes",
        f"    message 40 bytes {'00' * 32}...",
        "stream 1 DATA 0 bytes",
        "    message 0 bytes",
        "stream 1 DATA [REMOTE_CLOSED|NO_DATA] 0 bytes",
    ]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (StatusError(Code.NOT_FOUND, "no\nsuch"), "NOT_FOUND: no\\nsuch"),
        (StatusError(Code.OK, "odd"), "OK: odd"),
        (StatusError(Code.ABORTED, "", [AnyMessage()] * 2), "ABORTED, 2 details"),
    ],
)
def test_errors(error: StatusError, shown: str) -> None:
    body = encode_error(error)
    assert show(Frame(1, RESPONSE, 0, body))[1] == f"    {shown}"


def test_a_code_that_grpc_does_not_define_is_shown_as_a_number() -> None:
    """Go's servers send such codes."""
    body = Response(status=Status(code=99)).SerializeToString()
    assert show(Frame(1, RESPONSE, 0, body))[1] == "    code 99"


def test_a_broken_capture_is_shown_up_to_its_fault() -> None:
    too_large = Frame(5, DATA, 0, bytes(MESSAGE_LIMIT + 1))
    assert show(
        Frame(1, REQUEST, 0, b"\xff\xff"),
        Frame(3, RESPONSE, 0, b"\xff"),
        Frame(0, 9, 0xF0, b"x"),
        Frame(0, 0, 0, b""),
        too_large,
    ) == [
        "stream 1 REQUEST 2 bytes",
        "    not protobuf: 2 bytes ffff",
        "stream 3 RESPONSE 1 bytes",
        "    not protobuf: 1 bytes ff",
        "stream 0 type 9 [0xf0] 1 bytes",
        "    1 bytes 78",
        "stream 0 type 0 0 bytes",
        f"stream 5 too large: {MESSAGE_LIMIT + 1} bytes",
    ]


def test_a_capture_that_ends_within_a_frame() -> None:
    capture = f"> {CALL.hex()}\n< {ANSWER[:-1].hex()}".encode()
    assert dump(capture) == [*SHOWN[:2], "< cut off in the middle of a frame"]
