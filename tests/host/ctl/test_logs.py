# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from kata_host.ctl.logs import LINE_LIMIT, lines, to_json, to_text
from kata_host.ctl.program import main
from tests.helpers.hybrid import vmm

LINE = b'{"msg": "up", "level": "INFO", "ts": "T", "pid": 1, "subsystem": "a", "n": 2}'


def test_a_line_to_read_leads_with_time_and_level() -> None:
    assert to_text(LINE) == "T INFO a up n=2"


def test_control_characters_are_escaped() -> None:
    line = json.dumps({"msg": "\x1b[2J", "a\nb": "\r"}).encode()
    assert to_text(line) == "\\x1b[2J a\\nb=\\r"


@pytest.mark.parametrize("line", [b"no json", b"[1]", b"[" * 100_000])
def test_a_line_that_is_no_object_becomes_a_message(line: bytes) -> None:
    assert json.loads(to_json(line)) == {"msg": line.decode()}


def test_a_line_as_json_is_ascii_and_whole() -> None:
    assert json.loads(to_json(LINE)) == json.loads(LINE)
    assert to_json('{"msg": "µ"}'.encode()).isascii()


async def test_lines_end_with_the_connection() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.sendall(b"one\ntwo\nrest")
        theirs.shutdown(socket.SHUT_WR)
        assert [line async for line in lines(ours, None)] == [b"one", b"two", b"rest"]


async def test_lines_end_with_silence() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.sendall(b"one\n")
        assert [line async for line in lines(ours, 0.01)] == [b"one"]


async def test_a_line_without_end_is_cut() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        theirs.setblocking(False)
        received = lines(ours, None)
        sending = asyncio.create_task(
            asyncio.get_running_loop().sock_sendall(theirs, bytes(2 * LINE_LIMIT))
        )
        assert LINE_LIMIT < len(await anext(received)) <= LINE_LIMIT + (64 << 10)
        sending.cancel()


def test_the_log_is_on_its_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vmm(tmp_path / "g", b"OK 1\n" + LINE + b"\n") as host:
        arguments = ["logs", f"hvsock://{tmp_path}/g", "--port", "77"]
        assert main(arguments) == 0
    assert host.asked == [b"CONNECT 77\n"]
    assert capsys.readouterr().out == "T INFO a up n=2\n"
