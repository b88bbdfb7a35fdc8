# SPDX-License-Identifier: Apache-2.0
"""The host's half of the forwarder's protocol, against peers that speak it badly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.errors import AgentError
from kata_host.forwarding import guest_socket
from kata_host.forwarding.guest_socket import dial_forwarder, open_guest_socket

HELLO = b"CONNECT 1028\n"


@contextlib.asynccontextmanager
async def guest(tmp_path: Path, answer: bytes | None) -> AsyncIterator[str]:
    """Serve a hybrid socket whose forwarder says `answer`, or nothing; the address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == HELLO
        writer.write(b"OK 1\n")
        request = await reader.readline()
        assert request in (b"FORWARD a1 tcp:80\n", b"")
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            with contextlib.suppress(asyncio.CancelledError):
                await reader.read()
            writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "s"):
        yield f"hvsock://{tmp_path}/s:1024"


async def test_the_next_bytes_are_the_programs(tmp_path: Path) -> None:
    async with guest(tmp_path, b"OK\nOK\n") as address:
        with await open_guest_socket(address, "a1", "tcp:80") as connection:
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(connection, 9) == b"OK\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"ERROR container 'a1': port 80: no\n", r"^container 'a1': port 80: no$"),
        (b"ERROR \x1b[2J\n", r"^\\x1b\[2J$"),
        (b"", "not answered by a forwarder"),
        (b"OK", "not answered by a forwarder"),
        (b"x" * 8192, "not answered by a forwarder"),
    ],
)
async def test_all_other_answers_are_errors(
    tmp_path: Path, answer: bytes, message: str
) -> None:
    async with guest(tmp_path, answer) as address:
        with pytest.raises(AgentError, match=message):
            await open_guest_socket(address, "a1", "tcp:80")


async def test_a_forwarder_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_socket, "ANSWER_TIMEOUT", 0.01)
    async with guest(tmp_path, None) as address:
        with pytest.raises(AgentError, match=r"^guest: tcp:80: no answer$"):
            await open_guest_socket(address, "a1", "tcp:80")


async def test_where_nothing_forwards(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"agent\.forward_vport=1028 turns on: "):
        await dial_forwarder(f"hvsock://{tmp_path}/none:1024")
    with pytest.raises(ValueError, match="only vsock and hvsock have ports"):
        await dial_forwarder(f"unix://{tmp_path}/s")
