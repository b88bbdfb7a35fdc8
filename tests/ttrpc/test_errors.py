# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

from ttrpc.codes import Code
from ttrpc.errors import (
    DISPLAY_LIMIT,
    OversizedMessage,
    ProtocolError,
    RemoteProtocolError,
    StatusError,
    sanitize,
)


def test_a_status_shows_its_code_and_its_text() -> None:
    error = StatusError(Code.NOT_FOUND, "container 'a1': none")
    assert str(error) == "NOT_FOUND: container 'a1': none"
    assert str(StatusError(Code.ABORTED)) == "ABORTED"
    assert str(StatusError(99, "x")) == "code 99: x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("one\nroot: forged", "one\\nroot: forged"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("grün", "grün"),
    ],
)
def test_a_peers_text_cannot_act_on_a_terminal(text: str, shown: str) -> None:
    assert str(StatusError(Code.ABORTED, text)) == f"ABORTED: {shown}"
    assert str(RemoteProtocolError(text)) == shown
    assert StatusError(Code.ABORTED, text).message == text


def test_a_peers_text_is_shown_in_part_when_it_is_long() -> None:
    assert sanitize("x" * (DISPLAY_LIMIT + 1)) == "x" * DISPLAY_LIMIT + "..."
    assert sanitize("x" * DISPLAY_LIMIT) == "x" * DISPLAY_LIMIT


def test_an_oversized_message_has_gos_status() -> None:
    error = OversizedMessage(7, 5_000_000, 4_194_304)
    assert isinstance(error, ProtocolError)
    assert error.code is Code.RESOURCE_EXHAUSTED
    text = "message length 5000000 exceed maximum message size of 4194304"
    assert error.message == text
    assert (error.stream_id, error.length, error.limit) == (7, 5_000_000, 4_194_304)


@pytest.mark.parametrize(
    "error", [StatusError(Code.ABORTED, "text"), OversizedMessage(7, 5, 4)]
)
def test_an_error_can_be_passed_to_another_process(error: StatusError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("code", [2**31, -(2**31) - 1])
def test_a_code_has_32_bits(code: int) -> None:
    with pytest.raises(ValueError, match=f"^status code {code}: not 32 bits$"):
        StatusError(code)


def test_details_are_packed_and_unpacked() -> None:
    packed = AnyMessage()
    packed.Pack(BytesValue(value=b"b"))
    error = StatusError(Code.ABORTED, "x", [StringValue(value="a"), packed])
    assert all(isinstance(it, AnyMessage) for it in error.details)
    assert error.detail(StringValue) == StringValue(value="a")
    assert error.detail(BytesValue) == BytesValue(value=b"b")
    assert StatusError(Code.ABORTED).detail(BytesValue) is None


def test_a_peers_detail_that_is_not_of_its_type_is_an_error() -> None:
    bad = AnyMessage(type_url="x/google.protobuf.BytesValue", value=b"\xff")
    with pytest.raises(DecodeError):
        StatusError(Code.ABORTED, "x", [bad]).detail(BytesValue)


def test_a_detail_is_a_message() -> None:
    with pytest.raises(TypeError, match="^status details: str is not a protobuf"):
        StatusError(Code.ABORTED, "x", ["text"])  # type: ignore[list-item]  # wrong
    with pytest.raises(TypeError):
        StatusError(Code.ABORTED, "x", StringValue())  # type: ignore[arg-type]  # wrong


def test_a_message_may_be_any_object() -> None:
    """Handlers write `StatusError(Code.ABORTED, exc)`."""
    assert StatusError(Code.ABORTED, KeyError("a")).message == "'a'"


def test_a_code_is_an_integer() -> None:
    with pytest.raises(TypeError):
        StatusError(2.5)  # type: ignore[arg-type]  # a mistake of the caller's
