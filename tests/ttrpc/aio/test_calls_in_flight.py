# SPDX-License-Identifier: Apache-2.0
"""Each call that was started ends exactly once, also before its task's first step."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO
from tests.helpers.wire import DATA, OPEN, Frame, data, request
from ttrpc import BoundService, CallContext, Limits, Service
from ttrpc.aio import Server

PATIENCE: Final = 10.0
HI: Final = BytesValue(value=b"hi")
LARGE: Final = BytesValue(value=bytes(20_000))


async def forever(request: Any, context: CallContext) -> BytesValue:
    await asyncio.Event().wait()
    return BytesValue()


def later(request: BytesValue, context: CallContext) -> Any:
    return forever(request, context)


HANDLERS: Final = {
    "Echo": lambda request, context: request,
    "Sleep": forever,
    "Stubborn": later,
    "EchoStream": forever,
}


def serving(**limits: Any) -> Server:
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, HANDLERS)], limits=Limits(**limits))


async def nothing_is_left(server: Server) -> None:
    async with asyncio.timeout(PATIENCE):
        await server.wait_closed()
    assert server.calls_in_flight == 0
    assert server._serving.held.used == 0
    assert server._serving.unread.used == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


CALLS: Final = {
    "a coroutine": [request(3, "Sleep", UInt64Value(value=1))],
    "a large one": [request(3, "Sleep", LARGE)],
    "a coroutine of a plain function": [request(3, "Stubborn", HI)],
    "a call with a deadline": [request(3, "Sleep", b"", timeout_nano=10**12)],
    "a stream": [request(3, "EchoStream", flags=OPEN), data(3, LARGE)],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_client_that_hangs_up_before_the_first_step(call: list[Frame]) -> None:
    """The answer of `Echo` finds the connection closed, in the batch of the others.

    About 110 such connections took every place of a server.
    """
    server = serving()
    for _ in range(3):
        ours, theirs = socket.socketpair()
        ours.sendall(b"".join(map(bytes, [request(1, "Echo", HI), *call])))
        ours.close()
        server.serve_connection(theirs)
    await nothing_is_left(server)


TOO_MUCH: Final = {
    "over the limit of a message": [Frame(1, DATA, 0, bytes(30_000))],
    "over the limit of a stream": [data(1, LARGE), data(1, LARGE)],
}


@pytest.mark.parametrize("frames", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_a_stream_that_fails_in_the_packet_that_opens_it(
    frames: list[Frame],
) -> None:
    server = serving(message=25_000, stream_inbox=100)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        packet = [request(1, "EchoStream", flags=OPEN), *frames]
        ours.sendall(b"".join(map(bytes, packet)))
        server.serve_connection(theirs)
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.get_running_loop().sock_recv(ours, 1000)
        assert server.calls_in_flight == 0
        assert server._serving.held.used == 0
    await nothing_is_left(server)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_handler_that_closes_its_server(call: list[Frame]) -> None:
    def close(request: BytesValue, context: CallContext) -> BytesValue:
        server.close()
        return request

    service = Service("peer.v1.Echo", ECHO)
    server = Server([BoundService(service, {**HANDLERS, "Echo": close})])
    ours, theirs = socket.socketpair()
    with ours:
        packet = [request(1, "Sleep"), *call, request(5, "Echo", HI)]
        ours.sendall(b"".join(map(bytes, packet)))
        server.serve_connection(theirs)
        await nothing_is_left(server)


async def test_tasks_that_the_program_cancels_are_not_counted_for_ever() -> None:
    """As asyncio.run cancels all tasks in the end, also those that have not begun."""
    server = serving()
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"".join(bytes(it) for call in CALLS.values() for it in call[:1]))
        ours.sendall(bytes(request(5, "Sleep")))
        server.serve_connection(theirs)
        while not server.calls_in_flight:
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    await nothing_is_left(server)
