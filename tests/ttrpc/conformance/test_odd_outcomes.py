# SPDX-License-Identifier: Apache-2.0
"""Whatever a handler does, its caller has an answer and the connection lives on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, StringValue, UInt64Value

from tests.helpers.peer import ECHO
from tests.helpers.wire import request
from ttrpc import BoundService, CallContext, Code, Service, StatusError
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected
from ttrpc.bound_service import Handler

PATIENCE: Final = 10.0
HI: Final = BytesValue(value=b"hi")


class Bare(StatusError):
    """A status that its author's `__init__` leaves without its attributes."""

    def __init__(self) -> None:
        Exception.__init__(self, "bare")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def changed(**attributes: Any) -> StatusError:
    error = StatusError(Code.ABORTED, "text")
    vars(error).update(attributes)
    return error


RAISED: Final[dict[str, tuple[Callable[[], BaseException], Code]]] = {
    "details that are not packed": (
        lambda: StatusError(Code.ABORTED, "x", [StringValue(value="a")]),
        Code.ABORTED,
    ),
    "details that are text": (
        lambda: changed(details=["text"]),
        Code.UNKNOWN,
    ),
    "a message that is an exception": (
        lambda: StatusError(Code.ABORTED, KeyError("a")),
        Code.ABORTED,
    ),
    "a message that is None later": (lambda: changed(message=None), Code.ABORTED),
    "a code that is text": (lambda: changed(code="x"), Code.UNKNOWN),
    "a code of no protocol": (lambda: StatusError(2**30, "x"), Code.UNKNOWN),
    "a status without attributes": (Bare, Code.UNKNOWN),
    "an error without a text": (Unprintable, Code.UNKNOWN),
    "GeneratorExit": (GeneratorExit, Code.UNKNOWN),
    "CancelledError": (asyncio.CancelledError, Code.CANCELLED),
    "StopIteration": (StopIteration, Code.UNKNOWN),
    "StopAsyncIteration": (StopAsyncIteration, Code.UNKNOWN),
    "BaseException": (BaseException, Code.UNKNOWN),
}


def plain(outcome: Callable[[], Any]) -> Handler:
    return lambda request, context: outcome()


def coroutine(outcome: Callable[[], Any]) -> Handler:
    async def handler(request: Any, context: CallContext) -> Any:
        return outcome()

    return handler


def coroutine_of_a_plain_one(outcome: Callable[[], Any]) -> Handler:
    handler = coroutine(outcome)
    return lambda request, context: handler(request, context)


def server_of(handler: Handler, method: str = "Echo", **options: Any) -> Server:
    service = Service("peer.v1.Echo", ECHO)
    handlers = {method: handler, "Len": lambda request, context: UInt64Value(value=2)}
    return Server([BoundService(service, handlers)], **options)


async def unary(client: Client) -> None:
    await client.call(ECHO["Echo"], HI)


async def stream(client: Client, name: str) -> None:
    request = UInt64Value(value=1) if name == "Download" else None
    async with await client.open_stream(ECHO[name], request) as it:
        while await it.recv() is not None:
            pass


async def answer(server: Server, method: str) -> StatusError:
    """Call, and see that the connection lives on."""
    async with connected(server) as client:
        call = unary(client) if method == "Echo" else stream(client, method)
        with pytest.raises(StatusError) as caught:
            await asyncio.wait_for(call, PATIENCE)
        assert await client.call(ECHO["Len"], HI) == UInt64Value(value=2)
    return caught.value


UNARY: Final = pytest.mark.parametrize(
    "kind", [plain, coroutine, coroutine_of_a_plain_one]
)
STREAMS: Final = pytest.mark.parametrize("method", ["EchoStream", "Upload", "Download"])


def raising(error: Callable[[], BaseException]) -> Callable[[], Any]:
    def outcome() -> Any:
        raise error()

    return outcome


@UNARY
@pytest.mark.parametrize(("error", "code"), RAISED.values(), ids=RAISED)
async def test_an_error_of_a_unary_call(
    kind: Any, error: Callable[[], BaseException], code: Code
) -> None:
    assert (await answer(server_of(kind(raising(error))), "Echo")).code is code


@STREAMS
@pytest.mark.parametrize(("error", "code"), RAISED.values(), ids=RAISED)
async def test_an_error_of_a_stream(
    method: str, error: Callable[[], BaseException], code: Code
) -> None:
    server = server_of(coroutine(raising(error)), method)
    assert (await answer(server, method)).code is code


async def numbers() -> AsyncIterator[BytesValue]:
    yield HI


RETURNED: Final[dict[str, Callable[[], Any]]] = {
    "another message": lambda: StringValue(value="x"),
    "text": lambda: "text",
    "a class": lambda: BytesValue,
    "an async generator": numbers,
    "a generator": lambda: (it for it in ()),
}


@UNARY
@pytest.mark.parametrize("outcome", [*RETURNED.values(), lambda: None])
async def test_a_result_of_a_unary_call(kind: Any, outcome: Callable[[], Any]) -> None:
    error = await answer(server_of(kind(outcome)), "Echo")
    assert error.code is Code.UNKNOWN
    assert "returned" in error.message


@STREAMS
@pytest.mark.parametrize("outcome", RETURNED.values(), ids=RETURNED)
async def test_a_result_of_a_stream(method: str, outcome: Callable[[], Any]) -> None:
    error = await answer(server_of(coroutine(outcome), method), method)
    assert error.code is Code.UNKNOWN
    assert "returned" in error.message


@STREAMS
async def test_a_streams_handler_that_is_an_async_generator(method: str) -> None:
    """It would end the stream without a message, and no one would know why."""

    async def handler(stream: Any, context: CallContext) -> AsyncIterator[BytesValue]:
        yield HI

    error = await answer(server_of(handler, method), method)
    assert error.code is Code.UNKNOWN
    assert "returned async_generator" in error.message


MAPPINGS: Final[dict[str, Callable[[BaseException], Any]]] = {
    "returns None": lambda error: None,
    "returns text": lambda error: "text",
    "returns a status without attributes": lambda error: Bare(),
    "raises": lambda error: 1 / 0,
    "cancels": lambda error: raising(asyncio.CancelledError)(),
    "exits": lambda error: raising(GeneratorExit)(),
}


@UNARY
@pytest.mark.parametrize("status_of", MAPPINGS.values(), ids=MAPPINGS)
async def test_a_mapping_that_fails_a_unary_call(kind: Any, status_of: Any) -> None:
    handler = kind(raising(lambda: ValueError("x")))
    error = await answer(server_of(handler, status_of=status_of), "Echo")
    assert (error.code, error.message) == (Code.UNKNOWN, "ValueError")


@STREAMS
@pytest.mark.parametrize("status_of", MAPPINGS.values(), ids=MAPPINGS)
async def test_a_mapping_that_fails_a_stream(method: str, status_of: Any) -> None:
    handler = coroutine(raising(lambda: ValueError("x")))
    error = await answer(server_of(handler, method, status_of=status_of), method)
    assert (error.code, error.message) == (Code.UNKNOWN, "ValueError")


async def test_details_arrive_unpacked() -> None:
    error = await answer(
        server_of(plain(raising(RAISED["details that are not packed"][0]))), "Echo"
    )
    assert error.detail(StringValue) == StringValue(value="a")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_handler_that_ends_the_program_answers_first(
    kind: type[BaseException],
) -> None:
    ours, theirs = socket.socketpair()

    async def program() -> None:
        server_of(coroutine(raising(kind))).serve_connection(theirs)
        await asyncio.Event().wait()

    with ours, theirs:
        ours.sendall(bytes(request(1, "Echo", HI)))
        with pytest.raises(kind):
            asyncio.run(program())
        assert kind.__name__.encode() in ours.recv(1000)


async def test_a_mapping_is_no_coroutine() -> None:
    async def status_of(error: BaseException) -> StatusError:
        raise error

    with pytest.raises(TypeError, match=r"^status_of: .* must be a plain function$"):
        server_of(plain(lambda: HI), status_of=status_of)
