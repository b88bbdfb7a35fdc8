# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.errors import RemoteProtocolError
from ttrpc.hvsock import connect_command, is_reply_complete, parse_connect_command


def test_the_command_is_one_line() -> None:
    assert connect_command(1024) == b"CONNECT 1024\n"


@pytest.mark.parametrize("line", [b"CONNECT 1024\n", b"connect 1024\n"])
def test_a_command_names_a_port(line: bytes) -> None:
    """The Go runtime sends upper case, and runtime-rs lower case."""
    assert parse_connect_command(line) == 1024


@pytest.mark.parametrize(
    "line",
    [b"", b"CONNECT 1", b"CONNECT \n", b"LISTEN 1\n", b"CONNECT 4294967296\n"],
)
def test_another_line_is_no_command(line: bytes) -> None:
    with pytest.raises(ValueError, match="hybrid vsock"):
        parse_connect_command(line)


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
