# SPDX-License-Identifier: Apache-2.0
"""Whole sessions over a socket, after which nothing may be left of them.

No task, no descriptor, no timer, no call and no byte that is still counted; and each
waiter has been told. The fuzzer and the Hypothesis properties use this.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.leaks import (
    left_of_serving,
    left_of_session,
    left_of_sync_session,
)
from tests.helpers.peer import ECHO
from ttrpc.aio.client import Client
from ttrpc.aio.server import Server
from ttrpc.bound_service import BoundService
from ttrpc.call_context import CallContext
from ttrpc.errors import TtrpcError
from ttrpc.limits import Limits
from ttrpc.service import Service
from ttrpc.sync.client import Client as SyncClient

PATIENCE: Final = 10.0
SHORT: Final = 0.001
"""Seconds that a blocking client waits for an answer that may never come."""
LIMITS: Final = Limits(
    message=80 << 10,
    calls_per_connection=8,
    queued_per_connection=200_000,
    held_per_connection=50_000,
    stream_inbox=5_000,
)
HI: Final = BytesValue(value=b"hi")


class Ending(enum.Enum):
    """How a connection ends."""

    CLIENT_CLOSES = enum.auto()
    CLIENT_CLOSES_HALF = enum.auto()
    SERVER_CLOSES = enum.auto()
    SERVER_SHUTS_DOWN = enum.auto()


async def echo(request: BytesValue, context: CallContext) -> BytesValue:
    """Answers a request with a payload late, and an empty one at once."""
    if request.value:
        await asyncio.sleep(len(request.value) / 1000)
    return request


def size(request: BytesValue, context: CallContext) -> UInt64Value:
    return UInt64Value(value=len(request.value))


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
    "Len": size,
    "EchoStream": echo_stream,
    "Upload": upload,
    "Download": download,
}


def _server() -> Server:
    service = Service("peer.v1.Echo", ECHO)
    return Server([BoundService(service, HANDLERS)], limits=LIMITS)


async def _end(ours: socket.socket, serving: Server, ending: Ending) -> None:
    if ending is Ending.CLIENT_CLOSES:
        ours.close()
    elif ending is Ending.CLIENT_CLOSES_HALF:
        ours.shutdown(socket.SHUT_WR)
    elif ending is Ending.SERVER_CLOSES:
        serving.close()
    else:
        await serving.shutdown(0.01)


async def serve(session: bytes, reads: int, ending: Ending) -> None:
    """Send a server `session`, read its answers `reads` times, end, and check."""
    serving = _server()
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
        await _end(ours, serving, ending)
        async with asyncio.timeout(PATIENCE):
            if ending is Ending.CLIENT_CLOSES_HALF:
                # It finds out when it reads on, and may have to write before.
                while serving.connections:
                    with contextlib.suppress(BlockingIOError):
                        ours.recv(1 << 20)
                    await asyncio.sleep(0)
            await serving.wait_closed()
    assert theirs.fileno() == -1
    assert left_of_serving(serving._serving) == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _read(client: Client, name: str) -> None:
    request = UInt64Value(value=1) if name == "Download" else None
    async with await client.open_stream(ECHO[name], request, timeout=PATIENCE) as it:
        if name == "EchoStream":
            await it.send(HI)
        async for _ in it:
            pass


async def call(session: bytes, turns: int, we_close: bool) -> None:
    """Answer a busy client with `session`, let `turns` pass, end, and check."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    client = Client(ours, limits=LIMITS)
    with theirs:
        users = [
            *(asyncio.ensure_future(client.call(ECHO["Echo"], HI)) for _ in range(4)),
            asyncio.ensure_future(client.call(ECHO["Echo"], HI, timeout=PATIENCE)),
            *(
                asyncio.ensure_future(_read(client, name))
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
    assert left_of_session(inside) == {}
    assert client.counters.calls == sum(client.counters.calls_ended.values())
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _steps(client: SyncClient) -> Iterator[Callable[[], object]]:
    """Give what a program does with a blocking client, each when its turn has come."""
    echo = partial(client.call, ECHO["Echo"], HI)
    streams: list[tuple[str, Any]] = []

    def opens(name: str) -> None:
        request = UInt64Value(value=1) if name == "Download" else None
        streams.append((name, client.open_stream(ECHO[name], request)))

    yield echo
    for name in ("EchoStream", "Upload", "Download", "EchoStream"):
        yield partial(opens, name)
    # Receives for the streams too.
    yield echo
    for name, stream in streams:
        if name != "Download":
            yield partial(stream.send, HI)
        yield stream.recv
    if streams:
        yield streams.pop()[1].close
    for name, stream in streams:
        yield stream.response if name == "Upload" else partial(list, stream)
    yield echo


def call_blocking(session: bytes, turns: int, we_close: bool) -> None:
    """Answer a blocking client with `session` in pieces, one before each step, end.

    With no `turns`, all of it is there before the first step.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    client = SyncClient(ours, timeout=SHORT, limits=LIMITS)
    size = len(session) // (turns + 1) + 1
    with theirs:
        for number, step in enumerate(_steps(client)):
            with contextlib.suppress(BlockingIOError):
                theirs.send(session[number * size : (number + 1) * size])
            with contextlib.suppress(TtrpcError):
                step()
            if number == turns and not we_close:
                theirs.close()
                break
    if we_close:
        client.close()
    while client.closed is None:
        with contextlib.suppress(TtrpcError):
            client.call(ECHO["Echo"], HI)
    assert ours.fileno() == -1
    assert left_of_sync_session(client._session) == {}
    assert client.counters.calls == sum(client.counters.calls_ended.values())


def check_serving(data: bytes, piece: int) -> None:
    """As a target of the fuzzer: `piece` selects the ending and the reads before it."""
    endings = list(Ending)
    reads, ending = divmod(piece, len(endings))
    asyncio.run(serve(data, reads % 16, endings[ending]))


def check_calling(data: bytes, piece: int) -> None:
    """The same for a client with asyncio, and for one without."""
    turns, we_close = divmod(piece, 2)
    asyncio.run(call(data, turns % 16, bool(we_close)))
    call_blocking(data, turns % 16, bool(we_close))
