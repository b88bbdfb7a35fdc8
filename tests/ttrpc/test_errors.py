# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import pytest

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
