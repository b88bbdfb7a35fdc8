# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.hybrid_command import COMMAND_LIMIT, format_ok, parse_command


@pytest.mark.parametrize(
    ("line", "port"),
    [
        (b"CONNECT 1024\n", 1024),
        (b"connect 10240\n", 10240),
        (b"Connect 0\n", 0),
        (b"CONNECT 4294967295\n", (1 << 32) - 1),
    ],
)
def test_a_command_names_a_port(line: bytes, port: int) -> None:
    assert parse_command(line) == port


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"CONNECT\n",
        b"CONNECT \n",
        b"CONNECT -1\n",
        b"CONNECT 0x10\n",
        b"CONNECT 1024",
        b"CONNECT 1024 keep\n",
        b"CONNECT 4294967296\n",
        b"CONNECT 99999999999\n",
        "CONNECT \N{ARABIC-INDIC DIGIT ONE}\n".encode(),
        b"LISTEN 1024\n",
        b"\xff\xff\n",
    ],
)
def test_any_other_line_is_invalid(line: bytes) -> None:
    with pytest.raises(ValueError, match="hybrid vsock"):
        parse_command(line)


def test_the_longest_command_fits_the_limit() -> None:
    assert len(b"CONNECT 4294967295\n") < COMMAND_LIMIT


def test_ok_names_the_host_port() -> None:
    assert format_ok(1 << 30) == b"OK 1073741824\n"
