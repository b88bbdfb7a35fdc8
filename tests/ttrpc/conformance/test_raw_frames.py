# SPDX-License-Identifier: Apache-2.0
"""Sixty sessions of raw frames: ours answers as Go's newest server does.

Where it does not, the difference is below, with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from tests.helpers.probe import CASES, SERVERS, comparable, recorded, transcript

ECHOED: Final = r"| then echo: [3 RES fl=0 len=9 payload=b'\n\x05still']"


@dataclass(frozen=True, slots=True)
class Difference:
    """Our answer, and the reason why it differs from that of Go's newest server."""

    ours: str
    reason: str


DIFFERENCES: Final = {
    "metadata": Difference(
        r"[1 RES fl=0 len=8 payload=b'\n\x041,2,'] "
        r"asked as Key: [3 RES fl=0 len=8 payload=b'\n\x041,2,']",
        "Keys compare in lower case wherever they come from. In Go's server a key "
        "that came with a capital can be read by nobody, in Rust's the two spellings "
        "are two keys: either way a value is lost that the client sent.",
    ),
    "zz_data_on_active_unary": Difference(
        "[1 RES fl=0 len=34 status(code=3 msg='StreamID is no longer active')] "
        rf"[1 RES fl=0 len=7 payload=b'\x08\x80\x84\xaf_'] {ECHOED}",
        "Go's process dies of it. Rust's asynchronous server answers as ours does, in "
        "other words and with an OK status.",
    ),
    "response_over_limit": Difference(
        "[1 RES fl=0 len=67 status(code=8 msg='message length 4194315 exceed maximum "
        f"message size of 4194304')] {ECHOED}",
        "Go's server closes the connection with all its calls; older ones send what "
        "the client must refuse. Rust's answers, but with code 3: the request was not "
        "invalid, and 8 is what all say of a request over the limit.",
    ),
    "nil_response": Difference(
        '[1 RES fl=0 len=72 status(code=2 msg="handler or interceptor returned '
        "nothing, not its method's response\")]",
        "Go's code; the text is about Go's marshaller. (Rust's handlers cannot return "
        "nothing.)",
    ),
    "status_code_0": Difference(
        "[1 RES fl=0 len=19 status(code=2 msg='failed with 0')]",
        "Go's code, so that an error never looks like success, with the handler's own "
        "text. Rust's servers pass the error on as OK.",
    ),
    "status_code_99": Difference(
        "[1 RES fl=0 len=20 status(code=2 msg='failed with 99')]",
        "Go passes any number on, which ttrpc-rust's client takes for success. Rust's "
        "server sends UNKNOWN as ours does.",
    ),
    "deadline_ignored_by_handler": Difference(
        "[1 RES fl=0 len=31 status(code=4 msg='context deadline exceeded')]",
        "Every recorded server lets a handler that does not look at its deadline "
        "answer late. Ours enforces it.",
    ),
    "close_with_data": Difference(
        rf"[1 DATA fl=0 len=6 b'\n\x04last'] [1 DATA fl=5 len=0] {ECHOED}",
        "Go delivers the message, ends the stream well, and yet answers with an error "
        "in between; Rust drops the message (its later versions take it). Ours takes "
        "it: the protocol allows data on a frame that closes.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_session(name: str, our_server: str) -> None:
    expected = recorded("gomain")[name]
    if name in DIFFERENCES:
        expected = comparable(name, DIFFERENCES[name].ours)
    assert transcript(name, our_server) == expected


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference_is_one(name: str) -> None:
    """An answer that is explained as a difference does differ from Go's."""
    assert DIFFERENCES[name].reason
    assert comparable(name, DIFFERENCES[name].ours) != recorded("gomain")[name]


def test_every_case_is_recorded() -> None:
    assert len(CASES) == 60
    for server in SERVERS:
        assert set(recorded(server)) == set(CASES)
