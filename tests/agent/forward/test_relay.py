# SPDX-License-Identifier: Apache-2.0
"""Bytes both ways between two sockets, and each way's end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from kata_agent.forward import relay as relay_module
from kata_agent.forward.relay import Relay

PATIENCE = 20.0


@dataclass
class Ends:
    """The far ends of a relay that runs."""

    host: socket.socket
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
    host, agent_host = socket.socketpair()
    program, agent_program = socket.socketpair()
    for each in (host, agent_host, program, agent_program):
        each.setblocking(False)
    running = asyncio.create_task(Relay(agent_host, agent_program).run())
    with host, program:
        yield Ends(host, program, running)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert agent_host.fileno() == agent_program.fileno() == -1


async def test_the_end_of_one_way_leaves_the_other(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    data = os.urandom(1 << 20)
    sending = asyncio.create_task(loop.sock_sendall(ends.host, data))
    sending.add_done_callback(lambda _: ends.host.shutdown(socket.SHUT_WR))
    assert await receive_all(ends.program) == data
    sending = asyncio.create_task(loop.sock_sendall(ends.program, data))
    sending.add_done_callback(lambda _: ends.program.shutdown(socket.SHUT_WR))
    assert await receive_all(ends.host) == data
    await ends.ended()


async def test_the_program_ends_first(ends: Ends) -> None:
    ends.program.shutdown(socket.SHUT_WR)
    assert await receive_all(ends.host) == b""
    ends.host.send(b"late")
    ends.host.shutdown(socket.SHUT_WR)
    assert await receive_all(ends.program) == b"late"
    await ends.ended()


async def test_a_program_that_takes_no_more_bytes(ends: Ends) -> None:
    loop = asyncio.get_running_loop()
    ends.program.shutdown(socket.SHUT_RD)
    with pytest.raises(BrokenPipeError):
        # More than all buffers hold: a send that waits is ended.
        await asyncio.wait_for(loop.sock_sendall(ends.host, bytes(8 << 20)), PATIENCE)
    ends.program.send(b"still here")
    ends.program.shutdown(socket.SHUT_WR)
    assert await receive_all(ends.host) == b"still here"
    await ends.ended()


async def test_a_host_that_has_gone_ends_an_idle_connection(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.01)
    # First only its sending, so that the relay has to look.
    ends.host.shutdown(socket.SHUT_WR)
    assert await receive_all(ends.program) == b""
    ends.host.close()
    await ends.ended()
    with pytest.raises(BrokenPipeError):
        ends.program.send(b"x")


async def test_a_reader_that_is_slow_holds_the_sender(ends: Ends) -> None:
    sent = 0
    for _ in range(2000):
        try:
            sent += ends.host.send(bytes(1 << 16))
        except BlockingIOError:
            await asyncio.sleep(0)
    # The buffers of two pairs of sockets and a chunk.
    assert sent < 4 << 20
    ends.host.close()
    assert len(await receive_all(ends.program)) == sent
