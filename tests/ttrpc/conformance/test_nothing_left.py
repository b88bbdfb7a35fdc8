# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a peer sends, and however a connection ends, nothing is left of it.

No task, no descriptor, no timer, no byte that is still counted; and each waiter has
been told.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
from typing import Any, Final

from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.peer import ECHO
from tests.ttrpc.conformance.test_properties import sessions
from ttrpc import BoundService, CallContext, Limits, Service, TtrpcError
from ttrpc.aio import Client, Server

PATIENCE: Final = 10.0
LIMITS: Final = Limits(
    message=80 << 10,
    calls_per_connection=8,
    queued_per_connection=200_000,
    held_per_connection=50_000,
    stream_inbox=5_000,
)
HI: Final = BytesValue(value=b"hi")


class Ending(enum.Enum):
    CLIENT_CLOSES = enum.auto()
    CLIENT_CLOSES_HALF = enum.auto()
    SERVER_CLOSES = enum.auto()
    SERVER_SHUTS_DOWN = enum.auto()


async def echo(request: BytesValue, context: CallContext) -> BytesValue:
    """Answers a request with a payload late, and an empty one at once."""
    if request.value:
        await asyncio.sleep(len(request.value) / 1000)
    return request


async def echo_stream(stream: Any, context: CallContext) -> None:
    async for message in stream:
        await stream.send(message)


async def upload(stream: Any, context: CallContext) -> UInt64Value:
    await asyncio.sleep(0)
    return UInt64Value(value=len([message async for message in stream]))


async def download(stream: Any, context: CallContext) -> None:
    while True:
        await stream.send(BytesValue(value=bytes(10_000)))


HANDLERS: Final = {
    "Echo": echo,
    "EchoStream": echo_stream,
    "Upload": upload,
    "Download": download,
}


def server() -> Server:
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, HANDLERS)], limits=LIMITS)


async def end(ours: socket.socket, serving: Server, ending: Ending) -> None:
    if ending is Ending.CLIENT_CLOSES:
        ours.close()
    elif ending is Ending.CLIENT_CLOSES_HALF:
        ours.shutdown(socket.SHUT_WR)
    elif ending is Ending.SERVER_CLOSES:
        serving.close()
    else:
        await serving.shutdown(0.01)


async def left_of_a_server(session: bytes, reads: int, ending: Ending) -> None:
    serving = server()
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        serving.serve_connection(theirs)
        send = asyncio.ensure_future(loop.sock_sendall(ours, session))
        for _ in range(reads):
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                ours.recv(10_000)
        send.cancel()
        await asyncio.gather(send, return_exceptions=True)
        await end(ours, serving, ending)
        async with asyncio.timeout(PATIENCE):
            if ending is Ending.CLIENT_CLOSES_HALF:
                # It finds out when it reads on, and may have to write before.
                while serving.connections:
                    with contextlib.suppress(BlockingIOError):
                        ours.recv(1 << 20)
                    await asyncio.sleep(0)
            await serving.wait_closed()
    assert theirs.fileno() == -1
    assert serving.calls_in_flight == 0
    assert serving._serving.held.used == 0
    assert serving._serving.unread.used == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@settings(max_examples=150)
@given(sessions, st.integers(0, 12), st.sampled_from(Ending))
def test_nothing_is_left_of_a_servers_connection(
    session: bytes, reads: int, ending: Ending
) -> None:
    asyncio.run(left_of_a_server(session, reads, ending))


async def read(client: Client, name: str) -> None:
    request = UInt64Value(value=1) if name == "Download" else None
    async with await client.open_stream(ECHO[name], request, timeout=PATIENCE) as it:
        if name == "EchoStream":
            await it.send(HI)
        async for _ in it:
            pass


async def left_of_a_client(session: bytes, turns: int, we_close: bool) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    client = Client(ours, limits=LIMITS)
    with theirs:
        users = [
            *(asyncio.ensure_future(client.call(ECHO["Echo"], HI)) for _ in range(4)),
            asyncio.ensure_future(client.call(ECHO["Echo"], HI, timeout=PATIENCE)),
            *(
                asyncio.ensure_future(read(client, name))
                for name in ("EchoStream", "Upload", "Download", "EchoStream")
            ),
        ]
        await asyncio.sleep(0)
        users[0].cancel()
        users[5].cancel()
        send = asyncio.ensure_future(loop.sock_sendall(theirs, session))
        for _ in range(turns):
            await asyncio.sleep(0)
        send.cancel()
        await asyncio.gather(send, return_exceptions=True)
        if we_close:
            await client.close()
        else:
            theirs.close()
        async with asyncio.timeout(PATIENCE):
            outcomes = await asyncio.gather(*users, return_exceptions=True)
        assert client.closed is not None
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, TtrpcError | asyncio.CancelledError)
    inside = client._session
    assert ours.fileno() == -1
    assert not inside._calls
    assert not inside._inboxes
    assert not inside._timers
    assert not inside.connection.calls
    assert not inside.connection.streams
    assert inside._held.size == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@settings(max_examples=150)
@given(sessions, st.integers(0, 12), st.booleans())
def test_nothing_is_left_of_a_clients_connection(
    session: bytes, turns: int, we_close: bool
) -> None:
    asyncio.run(left_of_a_client(session, turns, we_close))
