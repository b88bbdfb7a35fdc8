# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO, echo
from tests.helpers.recorded import API, make_every_kind_of_call, tapped
from ttrpc.address import parse_address
from ttrpc.aio import Client
from ttrpc.errors import Closed
from ttrpc.recording.tap import Tap


def of_calls(lines: list[Mapping[str, Any]]) -> list[str]:
    """Return `call Len`, `answer Len` and so on."""
    kinds = ("call", "answer", "error", "message", "close")
    return [f"{kind} {line[kind]}" for line in lines for kind in kinds if kind in line]


async def test_calls_of_each_kind_are_recorded(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    async with tapped(tmp_path, lines, API) as address:
        await make_every_kind_of_call(address)
    recorded = of_calls(lines)
    # Both directions of a stream pass on their own; their order may change.
    assert recorded[:7] == [
        "call Len",
        "answer Len",
        "call Fail",
        "error Fail",
        "call EchoStream",
        "message EchoStream",
        "message EchoStream",
    ]
    assert recorded[-6:-2] == ["call Sum", "message Sum", "close Sum", "answer Sum"]
    call = next(line for line in lines if line.get("call") == "Len")
    assert call["req"] == "eHh4eHh4", "redacted, of the same length"
    assert call["md"] == ["k=v"]
    assert 4_000_000_000 < call["timeout_ns"] <= 5_000_000_000
    answer = next(line for line in lines if line.get("answer") == "Len")
    assert answer["resp"] == "6"
    error = next(line for line in lines if "error" in line)
    assert (error["code"], error["text"]) == (5, "failed with 5")


async def test_secrets_are_kept_when_asked(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    async with tapped(tmp_path, lines, API, redacts=False) as address:
        async with await Client.connect(address) as client:
            assert await echo(client, b"secret") == b"secret"
    assert "c2VjcmV0" in str(lines)


async def test_the_bytes_of_unknown_methods_are_recorded(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    async with tapped(tmp_path, lines) as address:
        async with await Client.connect(address) as client:
            assert await echo(client, b"hi") == b"hi"
    assert [line["payload"] for line in lines if "payload" in line] == ["CgJoaQ=="] * 2


async def test_a_large_message_passes_and_is_recorded(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    async with tapped(tmp_path, lines, API) as address:
        async with await Client.connect(address) as client:
            data = bytes(4_000_000)
            assert await echo(client, data) == data
    assert of_calls(lines) == ["call Echo", "answer Echo"]


@pytest.mark.parametrize("command", [b"CONNECT 1024\n", b"connect 1024\n"])
async def test_a_runtime_that_connects_to_a_hybrid_socket_is_served(
    tmp_path: Path, command: bytes
) -> None:
    """The Go runtime sends the word in upper case, runtime-rs in lower case."""
    lines: list[Mapping[str, Any]] = []
    listen = f"hvsock://{tmp_path}/tap.sock:1024"
    async with tapped(tmp_path, lines, API, listen=listen, port=1024):
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, f"{tmp_path}/tap.sock")
        await loop.sock_sendall(sock, command)
        assert (await loop.sock_recv(sock, 64)).startswith(b"OK ")
        async with Client(sock) as client:
            assert await echo(client, b"hi") == b"hi"
    assert of_calls(lines) == ["call Echo", "answer Echo"]


async def test_a_hybrid_address_works_on_both_sides(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    inner = f"hvsock://{tmp_path}/vm.sock:7"
    async with tapped(tmp_path, lines, API, listen=inner, port=7):
        outer = Tap(parse_address(inner), [API], lines.append, redacts=True)
        await outer.start(parse_address(f"unix://{tmp_path}/outer.sock"))
        async with await Client.connect(f"unix://{tmp_path}/outer.sock") as client:
            answer = await client.call(ECHO["Len"], BytesValue(value=b"four"))
        await outer.close()
    assert answer.value == 4
    assert of_calls(lines).count("call Len") == 2


async def test_another_port_of_a_unix_target_is_refused(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    listen = f"hvsock://{tmp_path}/tap.sock:1024"
    async with tapped(tmp_path, lines, API, listen=listen, port=1024):
        with pytest.raises(Closed):
            await Client.connect(f"hvsock://{tmp_path}/tap.sock:1025")
    assert "has no port 1025" in str(lines)


async def test_a_client_of_a_server_that_is_away_is_hung_up(tmp_path: Path) -> None:
    lines: list[Mapping[str, Any]] = []
    target = parse_address(f"unix://{tmp_path}/nobody.sock")
    tap = Tap(target, [API], lines.append, redacts=True)
    await tap.start(parse_address(f"unix://{tmp_path}/tap.sock"))
    async with await Client.connect(f"unix://{tmp_path}/tap.sock") as client:
        with pytest.raises(Closed):
            await echo(client, b"hi")
    await tap.close()
    assert any("nobody.sock" in str(line.get("refused")) for line in lines)
