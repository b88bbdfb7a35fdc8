# SPDX-License-Identifier: Apache-2.0
"""Bytes between a client and a program, and each way's end."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from kata_host.forwarding.relay import relay

PATIENCE = 20.0


@dataclass
class Ends:
    """The far ends of a relay that runs."""

    client: socket.socket
    program: socket.socket
    running: asyncio.Task[None]

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.running


async def receive_all(connection: socket.socket) -> bytes:
    data = b""
    async with asyncio.timeout(PATIENCE):
        while part := await asyncio.get_running_loop().sock_recv(connection, 1 << 16):
            data += part
    return data


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        near_client, _ = listener.accept()
    program, near_program = socket.socketpair()
    for each in (client, near_client, program, near_program):
        each.setblocking(False)
    running = asyncio.create_task(relay(near_client, near_program))
    with client, program:
        yield Ends(client, program, running)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert near_client.fileno() == near_program.fileno() == -1


async def test_the_end_of_one_way_leaves_the_other(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    data = os.urandom(1 << 20)
    for sender, receiver in ((ends.client, ends.program), (ends.program, ends.client)):
        sending = asyncio.create_task(loop.sock_sendall(sender, data))
        sending.add_done_callback(
            lambda _, sender=sender: sender.shutdown(socket.SHUT_WR)
        )
        assert await receive_all(receiver) == data
    await ends.ended()


async def test_a_client_that_breaks_ends_the_program(ends: Ends) -> None:
    ends.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ends.client.close()
    assert await receive_all(ends.program) == b""
    await ends.ended()
    with pytest.raises(BrokenPipeError):
        ends.program.send(b"x")


async def test_a_program_that_takes_no_more_bytes_still_sends(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    ends.program.shutdown(socket.SHUT_RD)
    await loop.sock_sendall(ends.client, b"refused")
    await loop.sock_sendall(ends.program, b"an answer")
    ends.program.shutdown(socket.SHUT_WR)
    assert await receive_all(ends.client) == b"an answer"


async def test_a_guest_that_breaks_the_connection_resets_the_client(ends: Ends) -> None:
    # A close with bytes that were not read is a reset.
    ends.client.send(b"unread")
    async with asyncio.timeout(PATIENCE):
        while not select.select([ends.program], [], [], 0)[0]:
            await asyncio.sleep(0)
    ends.program.close()
    with pytest.raises(ConnectionResetError):
        await receive_all(ends.client)
    await ends.ended()
