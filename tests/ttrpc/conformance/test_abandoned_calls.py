# SPDX-License-Identifier: Apache-2.0
"""A client whose peer does not read keeps few of the requests that it gave up."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

import ttrpc.aio
import ttrpc.sync
from tests.helpers.peer import ECHO
from ttrpc import Code, Limits, StatusError

MIB: Final = 1 << 20
REQUEST: Final = BytesValue(value=bytes(MIB))
CALLS: Final = 40


async def test_with_asyncio() -> None:
    ours, theirs = socket.socketpair()
    limits = Limits(queued_per_connection=32 * MIB)
    with theirs:
        async with ttrpc.aio.Client(ours, limits=limits) as client:

            async def give_up() -> Code | int:
                with pytest.raises(StatusError) as caught:
                    await client.call(ECHO["Echo"], REQUEST, timeout=0.05)
                return caught.value.code

            for _ in range(3):
                codes = await asyncio.gather(*(give_up() for _ in range(CALLS)))
                assert codes == [Code.DEADLINE_EXCEEDED] * CALLS
            # An eighth of the limit, from which on calls wait, and the last request.
            assert client._session.connection.outbox.size < 6 * MIB
            with pytest.raises(StatusError) as caught:
                await client.open_stream(ECHO["EchoStream"], timeout=0.05)
            assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_a_call_that_waits_for_room_goes_on_when_the_server_reads() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    limits = Limits(queued_per_connection=8 * MIB)
    with theirs:
        async with ttrpc.aio.Client(ours, limits=limits) as client:
            calls = [
                asyncio.ensure_future(client.call(ECHO["Echo"], REQUEST))
                for _ in range(10)
            ]
            received = 0
            async with asyncio.timeout(10):
                while received < 10 * MIB:
                    received += len(await loop.sock_recv(theirs, MIB))
            theirs.close()
            await asyncio.gather(*calls, return_exceptions=True)


def test_without_asyncio() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ttrpc.sync.Client(ours) as client:
        for _ in range(10):
            with pytest.raises(StatusError) as caught:
                client.call(ECHO["Echo"], REQUEST, timeout=0.02)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
        with pytest.raises(StatusError):
            client.open_stream(ECHO["EchoStream"], timeout=0.02)
        assert client._session.connection.outbox.size < 2 * MIB
