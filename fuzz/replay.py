# SPDX-License-Identifier: Apache-2.0
"""Feed bytes to the core of either side as a socket does, and record its events.

The fuzzer and the Hypothesis properties use this. No bytes may make it raise, and the
events may not depend on how the bytes were split.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from fuzz.sessions import check_calling, check_serving
from ttrpc.bound_service import BoundService
from ttrpc.client_connection import ClientConnection
from ttrpc.dump import describe, read_capture
from ttrpc.envelope_pb2 import Request, Response
from ttrpc.errors import StatusError, TtrpcError
from ttrpc.frame import HEADER_SIZE, HEADER_STRUCT, RESPONSE, Payload
from ttrpc.frame_decoder import FrameDecoder
from ttrpc.metadata import Pairs
from ttrpc.outbox import Outbox
from ttrpc.request_decoder import METADATA_LIMIT, UnknownMethod
from ttrpc.routes import Route, Routes
from ttrpc.server_connection import ServerConnection
from ttrpc.service import Cardinality, Method, Service
from ttrpc.stream import Stream

LIMIT: Final = 80 << 10
"""Bytes of a message: few, so that a fuzzer's inputs exceed it."""
SERVICE: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"])
CALLS: Final = 8
"""Calls of each cardinality that a client has in flight before its bytes arrive."""

Event = tuple[Any, ...]


async def _handler(request: object, context: object) -> None:
    """Never run; a method without a handler would have no route."""


ROUTES: Final = Routes(
    [BoundService(SERVICE, dict.fromkeys(SERVICE.methods, _handler))]
)


@dataclass(slots=True)
class ServerEvents:
    """Answers calls with their request, and ends streams when the client does."""

    connection: ServerConnection | None = None
    events: list[Event] = field(default_factory=list)

    def call_received(
        self,
        stream_id: int,
        route: Route,
        payload: Payload,
        timeout_nano: int,
        metadata: Pairs,
    ) -> None:
        name = route.method.name
        call = (stream_id, name, bytes(payload), timeout_nano, list(metadata))
        self.events.append(("call", *call))
        assert self.connection is not None
        self.connection.send_response(stream_id, bytes(payload))

    def stream_opened(
        self, stream: Stream, route: Route, timeout_nano: int, metadata: Pairs
    ) -> None:
        opened = (stream.stream_id, route.method.name, timeout_nano, list(metadata))
        self.events.append(("opened", *opened))

    def message_received(self, stream: Stream, payload: Payload) -> None:
        assert not stream.is_closed
        self.events.append(("message", stream.stream_id, bytes(payload)))
        assert self.connection is not None
        if stream.method.cardinality.server_streaming:
            self.connection.send_message(stream, bytes(payload))

    def remote_closed(self, stream: Stream) -> None:
        self.events.append(("closed", stream.stream_id))
        assert self.connection is not None
        streams = stream.method.cardinality.server_streaming
        self.connection.finish(stream, None if streams else b"")

    def stream_failed(self, stream: Stream, error: Exception) -> None:
        self.events.append(("failed", stream.stream_id, str(error)))


@dataclass(slots=True)
class ClientEvents:
    """Records the events of a client."""

    events: list[Event] = field(default_factory=list)

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        self.events.append(("succeeded", stream_id, payload))

    def call_failed(self, stream_id: int, error: Exception) -> None:
        assert isinstance(error, TtrpcError)
        self.events.append(("failed", stream_id, str(error)))

    def message_received(self, stream: Stream, payload: Payload) -> None:
        self.events.append(("message", stream.stream_id, bytes(payload)))

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        assert error is None or isinstance(error, TtrpcError)
        self.events.append(("ended", stream.stream_id, str(error)))


def serve(data: bytes, pieces: Iterator[int]) -> tuple[list[Event], bytes]:
    """Give a server `data`; return its events and the bytes that it sends."""
    events = ServerEvents()
    connection = ServerConnection(ROUTES, events, limit=LIMIT)
    events.connection = connection
    feed(data, pieces, connection)
    return events.events, sent(connection.outbox)


def receive(data: bytes, pieces: Iterator[int]) -> tuple[list[Event], bytes]:
    """Give `data` to a client with calls in flight; return the same as `serve`."""
    events = ClientEvents()
    connection = ClientConnection(events, limit=LIMIT)
    for method in methods_in_turn():
        if method.cardinality is Cardinality.UNARY_UNARY:
            connection.start_call(method, b"")
        else:
            connection.open_stream(method, b"")
    feed(data, pieces, connection)
    connection.end_all()
    return events.events, sent(connection.outbox)


def methods_in_turn() -> Iterator[Method[Any, Any]]:
    """Yield a unary method, then one of each cardinality of stream, CALLS times."""
    names = ("Echo", "EchoStream", "Upload", "Download")
    for _ in range(CALLS):
        yield from (SERVICE.methods[name] for name in names)


def feed(
    data: bytes,
    pieces: Iterator[int],
    connection: ServerConnection | ClientConnection,
) -> None:
    """Pass `data` on in pieces, as `Transport` does with received bytes."""
    decoder = FrameDecoder(LIMIT)
    position = 0
    while position < len(data):
        buffer = decoder.large_buffer
        stop = position + max(1, next(pieces))
        if buffer is None:
            frames = decoder.receive(data[position:stop])
        else:
            stop = min(stop, position + len(buffer), len(data))
            buffer[: stop - position] = data[position:stop]
            frames = decoder.fill(stop - position)
        position = stop
        for frame in frames:
            connection.receive_frame(frame)


def sent(outbox: Outbox) -> bytes:
    """Return the bytes of the outbox after a check that they are whole frames."""
    data = b"".join(outbox.chunks)
    assert len(data) == outbox.size
    position = 0
    while position < len(data):
        length, _, kind, _ = HEADER_STRUCT.unpack_from(data, position)
        assert length <= LIMIT
        position += HEADER_SIZE
        if kind == RESPONSE:
            Response.FromString(data[position : position + length])
        position += length
    assert position == len(data)
    return data


def check_request(body: bytes) -> None:
    """The decoder's short way reads a Request as protobuf does."""
    try:
        target, payload, timeout_nano, metadata = ROUTES.decode(body)
    except StatusError:
        try:
            request = Request.FromString(body)
        except DecodeError:
            return
        if len(request.metadata) > METADATA_LIMIT:
            return
        raise
    request = Request.FromString(body)
    method = target if isinstance(target, UnknownMethod) else target.method
    if isinstance(method, UnknownMethod):
        found = (method.service, method.method)
    else:
        found = (method.service, method.name)
    assert found == (request.service, request.method)
    assert bytes(payload) == request.payload
    assert timeout_nano == request.timeout_nano
    assert list(metadata) == [(pair.key, pair.value) for pair in request.metadata]


def check_capture(data: bytes) -> None:
    """A capture is refused, or shown in printable lines."""
    try:
        lines = list(describe(list(read_capture(data))))
    except ValueError as exc:
        lines = [str(exc)]
    assert all(map(str.isprintable, lines))


def check_server(data: bytes, piece: int) -> None:
    whole = itertools.repeat(len(data))
    assert serve(data, itertools.repeat(piece)) == serve(data, whole)


def check_client(data: bytes, piece: int) -> None:
    whole = itertools.repeat(len(data))
    assert receive(data, itertools.repeat(piece)) == receive(data, whole)


TARGETS: Final[tuple[Callable[[bytes, int], None], ...]] = (
    check_server,
    check_client,
    lambda data, _: check_request(data),
    lambda data, _: check_capture(data),
    check_serving,
    check_calling,
)


def check(data: bytes) -> None:
    """Run one of the fuzzer's inputs.

    The first byte selects the target of the rest: the core of a server or of a client,
    the decoder of requests, the dumper, or a whole session with a server or a client on
    asyncio. The second byte, plus one, is the size of its pieces; for a session it
    selects its end.
    """
    if len(data) > 2:
        TARGETS[data[0] % len(TARGETS)](data[2:], data[1] + 1)
