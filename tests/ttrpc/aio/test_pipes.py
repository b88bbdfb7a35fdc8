# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import socket

import pytest

from bench.ttrpc.service import services
from tests.helpers.peer import LIMIT, echo, nap
from ttrpc import Closed
from ttrpc.aio import Client, Pipes, Server

PATIENCE = 30.0


def pair_of_pipes() -> tuple[Pipes, Pipes]:
    (their_input, our_output), (our_input, their_output) = os.pipe(), os.pipe()
    return Pipes(our_input, our_output), Pipes(their_input, their_output)


async def test_a_client_and_a_server_over_two_pipes() -> None:
    ours, theirs = pair_of_pipes()
    async with Server(services()) as server, asyncio.timeout(PATIENCE):
        served = server.serve_connection(theirs)
        async with Client(ours) as client:
            values = [b"", b"hi", bytes(LIMIT - 100)]
            answers = await asyncio.gather(*(echo(client, it) for it in values))
            assert answers == values
        assert str(await served.wait_closed()) == "connection: closed by the peer"


async def test_the_descriptors_are_closed_in_the_end() -> None:
    ours, theirs = pair_of_pipes()
    fds = [ours._reading, ours._writing, theirs._reading, theirs._writing]
    async with Server(services()) as server, asyncio.timeout(PATIENCE):
        served = server.serve_connection(theirs)
        async with Client(ours) as client:
            sleeping = asyncio.create_task(nap(client, 100))
            await echo(client, b"hi")
            served.close()
            with pytest.raises(Closed):
                await sleeping
        while any(is_open(fd) for fd in fds):
            await asyncio.sleep(0)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_a_reader_that_has_gone_is_the_cause() -> None:
    reading, writing = os.pipe()
    silent, _keep = os.pipe()
    os.close(reading)
    async with asyncio.timeout(PATIENCE), Client(Pipes(silent, writing)) as client:
        with pytest.raises(Closed, match="Broken pipe"):
            await echo(client, b"hi")
    os.close(_keep)


async def test_one_descriptor_may_be_both() -> None:
    """A socket as standard input and output, as inetd gives it."""
    ours, theirs = socket.socketpair()
    fd = theirs.detach()
    async with Server(services()) as server, asyncio.timeout(PATIENCE):
        served = server.serve_connection(Pipes(fd, fd))
        async with Client(ours) as client:
            assert await echo(client, bytes(1 << 20)) == bytes(1 << 20)
        await served.wait_closed()


async def test_a_closed_descriptor_is_refused() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        Pipes(-1, -1)
