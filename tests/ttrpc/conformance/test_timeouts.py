# SPDX-License-Identifier: Apache-2.0
"""A call's timeout holds in every state of a client, with asyncio and without."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

import ttrpc.aio
import ttrpc.sync
from tests.helpers.peer import ECHO
from ttrpc import Closed, Code, StatusError

TIMEOUT: Final = 0.2
PATIENCE: Final = 5.0
"""Far below `RECONNECT`, which the calls must not take."""
RECONNECT: Final = 60.0
HI: Final = BytesValue(value=b"hi")


def gone(path: Path, stack: ExitStack) -> str:
    """Nobody listens any more."""
    return f"unix://{path}"


def busy(path: Path, stack: ExitStack) -> str:
    """The listener's backlog is full."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(0)
    for _ in range(2):
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.setblocking(False)
        waiting.connect_ex(str(path))
    return f"unix://{path}"


def mute(path: Path, stack: ExitStack) -> str:
    """A VMM takes the connection and does not answer, while its guest boots."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen()
    return f"hvsock://{path}:1024"


@pytest.fixture(params=[gone, busy, mute])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    state: Callable[[Path, ExitStack], str] = request.param
    with ExitStack() as stack:
        yield state(tmp_path / "a.sock", stack)


@pytest.fixture
def lost() -> socket.socket:
    """A connection whose peer has hung up."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def with_asyncio(sock: socket.socket, use: Callable[[Any], Any], **options: Any) -> Any:
    async def program() -> Any:
        async with ttrpc.aio.Client(sock, **options) as client:
            while options and client.closed is None:
                await asyncio.sleep(0)
            return await use(client)

    return asyncio.run(program())


def without(sock: socket.socket, use: Callable[[Any], Any], **options: Any) -> Any:
    with ttrpc.sync.Client(sock, **options) as client:
        if options:
            with pytest.raises(Closed):
                client.call(ECHO["Echo"], HI, timeout=PATIENCE)
        return use(client)


RUN: Final = pytest.mark.parametrize("run", [with_asyncio, without])
USES: Final[dict[str, Callable[[Any], Any]]] = {
    "call": lambda client: client.call(ECHO["Echo"], HI, timeout=TIMEOUT),
    "stream": lambda client: client.open_stream(ECHO["EchoStream"], timeout=TIMEOUT),
}


@RUN
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_while_it_connects_again(
    run: Any, use: Callable[[Any], Any], lost: socket.socket, address: str
) -> None:
    started = time.monotonic()
    with pytest.raises(StatusError) as caught:
        run(lost, use, address=address, reconnect=RECONNECT)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - started < PATIENCE


@RUN
@pytest.mark.parametrize("timeout", [math.nan, -1, -math.inf])
def test_a_timeout_is_a_number_of_seconds(run: Any, timeout: float) -> None:
    ours, theirs = socket.socketpair()

    def use(client: Any) -> Any:
        with pytest.raises(ValueError, match=f"^timeout {timeout}: neither 0 nor a"):
            return client.open_stream(ECHO["EchoStream"], timeout=timeout).send(None)
        return client.call(ECHO["Echo"], HI, timeout=timeout)

    with theirs, pytest.raises(ValueError, match=f"^timeout {timeout}: neither 0 nor"):
        run(ours, use)


@RUN
@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e10])
def test_a_timeout_may_be_endless(run: Any, timeout: float, our_server: str) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(our_server)
    answer = run(sock, lambda it: it.call(ECHO["Echo"], HI, timeout=timeout))
    assert answer == HI


@pytest.mark.parametrize("name", ["timeout", "reconnect"])
@pytest.mark.parametrize("value", [math.nan, -0.1])
def test_so_are_the_times_of_connecting(name: str, value: float) -> None:
    times: Any = {name: value}
    error = f"^{name} {value}: neither"
    with pytest.raises(ValueError, match=error):
        ttrpc.sync.Client.connect("unix://@nobody", **times)
    with pytest.raises(ValueError, match=error):
        asyncio.run(ttrpc.aio.Client.connect("unix://@nobody", **times))


def test_a_stream_is_closed_without_waiting_for_a_peer_that_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    big = BytesValue(value=bytes(1 << 20))
    with theirs, ttrpc.sync.Client(ours) as client:
        stream = client.open_stream(ECHO["EchoStream"])
        stream._session.connection.send_message(stream._stream, big.SerializeToString())
        stream.close()
