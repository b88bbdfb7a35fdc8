# SPDX-License-Identifier: Apache-2.0
"""The first line of a forwarded connection."""

from __future__ import annotations

import os

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.forward.request import ForwardRequest, parse_request


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b"FORWARD - tcp:8000", ForwardRequest("", port=8000)),
        (b"FORWARD a1 tcp:1", ForwardRequest("a1", port=1)),
        (b"FORWARD a1 tcp:65535", ForwardRequest("a1", port=65535)),
        (b"FORWARD a1 unix:/run/s", ForwardRequest("a1", path="/run/s")),
        (b"FORWARD - unix:/a b:c ", ForwardRequest("", path="/a b:c ")),
        (b"FORWARD - unix:/\xff", ForwardRequest("", path=os.fsdecode(b"/\xff"))),
        (b"FORWARD - unix:/" + b"x" * 4094, ForwardRequest("", path="/" + "x" * 4094)),
    ],
)
def test_a_line_names_a_program(line: bytes, request_: ForwardRequest) -> None:
    assert parse_request(line) == request_


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"FORWARD",
        b"FORWARD a1",
        b"forward a1 tcp:80",
        b"CONNECT 1024",
        b"FORWARD  tcp:80",
        b"FORWARD \xff tcp:80",
        b"FORWARD a1 80",
        b"FORWARD a1 udp:80",
        b"FORWARD a1 tcp",
        b"FORWARD a1 tcp:",
        b"FORWARD a1 tcp:0",
        b"FORWARD a1 tcp:-1",
        b"FORWARD a1 tcp:+1",
        b"FORWARD a1 tcp:65536",
        b"FORWARD a1 tcp:000080",
        b"FORWARD a1 tcp:8000\r",
        b"FORWARD a1 tcp: 80",
        b"FORWARD a1 tcp:80 ",
        "FORWARD a1 tcp:\u0668".encode(),
        b"FORWARD a1 unix:",
        b"FORWARD a1 unix:s",
        b"FORWARD a1 unix:/a\0b",
        b"FORWARD a1 unix:/" + b"x" * 4095,
    ],
)
def test_all_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(InvalidArgument, match="^request: "):
        parse_request(line)


def test_an_error_names_the_socket() -> None:
    assert str(ForwardRequest("a1", port=80)) == "container 'a1': port 80"
    assert str(ForwardRequest("", path="/s\n")) == "guest: unix socket '/s\\n'"
