# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.errors import RemoteProtocolError
from ttrpc.hvsock import connect_command, is_reply_complete


def test_the_command_is_one_line() -> None:
    assert connect_command(1024) == b"CONNECT 1024\n"


@pytest.mark.parametrize("reply", [b"OK 1073741824\n", b"OK 4294967295\n", b"OK 1\r\n"])
def test_an_answer_is_complete_at_its_newline(reply: bytes) -> None:
    assert not any(is_reply_complete(reply[:size]) for size in range(len(reply)))
    assert is_reply_complete(reply)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 400\n", r"hybrid vsock: answered b'HTTP/1.1 400\\n'"),
        (b"ok 1\n", r"hybrid vsock: answered b'ok 1\\n'"),
        (b"\n", r"hybrid vsock: answered b'\\n'"),
        (b"x" * 32, "hybrid vsock: endless answer b'x*'"),
    ],
)
def test_another_answer_is_the_peers_fault(reply: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        is_reply_complete(reply)
