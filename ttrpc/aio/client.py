# SPDX-License-Identifier: Apache-2.0
"""The client: calls and streams over one connection at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from google.protobuf.message import Message

from ttrpc.address import Address
from ttrpc.aio.client_session import ClientSession
from ttrpc.aio.client_stream import ClientStream
from ttrpc.aio.dial import dial
from ttrpc.aio.opening_stream import OpeningStream
from ttrpc.aio.owned_socket import check_connection, owned_socket
from ttrpc.call_context import CallContext, Peer
from ttrpc.client_call import (
    check_call,
    check_intercepted,
    check_intercepted_stream,
    check_opening,
    check_reconnect,
    new_context,
    parse_response,
    timed_out,
    timeout_nano,
)
from ttrpc.client_record import ClientRecord, ConnectedHook, DisconnectedHook
from ttrpc.counters import ClientCounters
from ttrpc.deadline import Deadline, checked_period, checked_timeout
from ttrpc.errors import Closed
from ttrpc.interceptor import Interceptor, chain
from ttrpc.limits import Limits
from ttrpc.metadata import MetadataLike
from ttrpc.opened_streams import closed_on_error, opened
from ttrpc.raw import Raw
from ttrpc.service import Method, RequestT, ResponseT
from ttrpc.status import code_of

if TYPE_CHECKING:
    from ttrpc.aio.byte_stream import ByteStream


class Client:
    """Calls methods of a server. Any number of calls may be in flight.

        async with await Client.connect("unix:///run/echo.sock") as client:
            response = await client.call(ECHO, request, timeout=2)

    Leaving the block closes the connection.
    """

    def __init__(
        self,
        connection: socket.socket | ByteStream,
        *,
        timeout: float | None = None,
        address: Address | str = "",
        interceptors: Sequence[Interceptor] = (),
        limits: Limits | None = None,
        reconnect: float | None = None,
        keepalive: float | None = None,
        connected: ConnectedHook | None = None,
        disconnected: DisconnectedHook | None = None,
    ) -> None:
        """Use a connected socket or stream, which the client owns from now on.

        Usually a client comes from `connect`, which explains the arguments; its
        `call_timeout` is `timeout` here.

        Raises:
            ValueError: a number of seconds is none, `reconnect` is without an address,
                or a socket is not a connected stream socket without TLS.
            TypeError: `connection` is neither a socket nor a `ByteStream`.
        """
        self._timeout = checked_timeout("timeout", timeout)
        check_reconnect(reconnect, address)
        keepalive = checked_period("keepalive", keepalive)
        check_connection(connection)
        self._address = address
        self._limits = limits or Limits()
        self._reconnect = reconnect
        self._keepalive = keepalive
        self._closed = False
        self._dial_lock = asyncio.Lock()
        self._record = ClientRecord(connected, disconnected)
        self._peer = Peer(str(address))
        self._session = self._use(connection)
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._plain = not interceptors
        self._call = chain(interceptors, self._invoke)
        self._open = chain(interceptors, self._open_now)

    @classmethod
    async def connect(
        cls,
        address: Address | str,
        *,
        timeout: float | None = None,
        call_timeout: float | None = None,
        interceptors: Sequence[Interceptor] = (),
        limits: Limits | None = None,
        reconnect: float | None = None,
        keepalive: float | None = None,
        connected: ConnectedHook | None = None,
        disconnected: DisconnectedHook | None = None,
    ) -> Self:
        """Connect to an address.

        Args:
            address: As text (see `ttrpc.parse_address`) or parsed.
            timeout: Seconds to try again while no server listens; None tries once.
            call_timeout: Seconds for each call and stream that is given neither a
                timeout nor a deadline; None is no limit.
            interceptors: Wrapped around every call; the first is outermost.
            limits: Bounds the memory that the server can make this client use.
            reconnect: Seconds that a call may spend on connecting again after the
                connection was lost; None never connects again. Calls in flight fail
                in any case, because the server may have carried them out.
            keepalive: Seconds within which a server is noticed that has died without
                closing the connection, or stands still; None does not look. The
                connection is closed then, and calls in flight fail.
            connected: Called with the server when there is a connection: the first
                one and each later one.
            disconnected: Called with the cause when one has ended.

        Raises:
            ValueError: `address` is not an address, or a number of seconds is none.
            Closed: nobody listens there.
        """
        checked_timeout("call_timeout", call_timeout)
        check_reconnect(reconnect, address)
        keepalive = checked_period("keepalive", keepalive)
        sock = await dial(address, timeout=timeout)
        return cls(
            sock,
            timeout=call_timeout,
            address=address,
            interceptors=interceptors,
            limits=limits,
            reconnect=reconnect,
            keepalive=keepalive,
            connected=connected,
            disconnected=disconnected,
        )

    @property
    def closed(self) -> Closed | None:
        """The cause of the connection's end; None while it is open."""
        return self._session.transport.closed

    @property
    def counters(self) -> ClientCounters:
        """What the client has done so far."""
        transport = self._session.transport
        is_open = transport.closed is None
        return self._record.counters(
            received=transport.received if is_open else 0,
            sent=transport.sent if is_open else 0,
        )

    async def wait_closed(self) -> Closed:
        """Wait until the connection in use has ended. Returns the cause."""
        return await self._session.transport.wait_closed()

    async def call(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseT:
        """Call a unary method and return its response.

        Args:
            timeout: Seconds. The timeout is sent along, and the server cancels the
                handler at that time. None is the client's timeout, infinity is none.
            deadline: The same as a point in time, `context.deadline` in a handler for
                example. The earlier of the two counts.
            metadata: Text to send along; keys are sent in lower case.

        Raises:
            ValueError: the method streams, or `timeout` is no number of seconds.
            TypeError: `request` is not of the method's request type.
            StatusError: the call ended with this status. DEADLINE_EXCEEDED may also
                come from this side.
            OversizedMessage: the request or the response is over the limit.
            RemoteProtocolError: the answer is not a response of this method.
            Closed: the connection was lost; the server may have got the request.
            RuntimeError: the client was made on another event loop.
        """
        check_call(method, request)
        context = self._new_context(method, timeout, deadline, metadata)
        if self._plain:
            return cast(ResponseT, await self._invoke(request, context))
        response = await self._call(request, context)
        check_intercepted(context, response)
        return cast(ResponseT, response)

    def open_stream(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT | None = None,
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> OpeningStream[RequestT, ResponseT]:
        """Open a stream: `async with client.open_stream(...) as stream`, or await it.

        `request` is the one message of a client that does not stream. Interceptors
        wrap the opening. The other arguments are those of `call`.

        Raises:
            ValueError: the method is unary; `request` is missing, or given although the
                client streams; or `timeout` is no number of seconds.
            TypeError: `request` is not of the method's request type.
            StatusError: DEADLINE_EXCEEDED, the timeout has passed.
            OversizedMessage: the request is over the limit.
            Closed: the connection was lost.
        """
        check_opening(method, request)
        context = self._new_context(method, timeout, deadline, metadata)
        return OpeningStream(self._open_checked(request, context))

    async def close(self) -> None:
        """End the connection. Calls in flight fail; closing twice is harmless."""
        self._closed = True
        self._session.transport.close("closed on this side")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _new_context(
        self,
        method: Method[Any, Any],
        timeout: float | None,
        deadline: Deadline | None,
        metadata: MetadataLike | None,
    ) -> CallContext:
        return new_context(
            method,
            self._peer,
            self._clock,
            timeout=timeout,
            deadline=deadline,
            default_timeout=self._timeout,
            metadata=metadata,
        )

    async def _invoke(
        self, request: Message | Raw, context: CallContext
    ) -> Message | Raw:
        counts = self._record.counts
        counts.started += 1
        try:
            payload = request.SerializeToString()
            answer = await self._answer(payload, context)
            response = parse_response(context.method, answer)
        except BaseException as exc:
            counts.count_failure(code_of(exc))
            raise
        counts.succeeded += 1
        return response

    async def _answer(self, payload: bytes, context: CallContext) -> bytes:
        method = context.method
        deadline = context.deadline
        if deadline is None:
            session = await self._connected()
            return await session.call(method, payload, 0, context.pairs)
        try:
            async with _until(deadline):
                session = await self._connected()
                remaining = timeout_nano(context)
                return await session.call(method, payload, remaining, context.pairs)
        except TimeoutError:
            raise timed_out(context) from None

    async def _open_checked(
        self, request: Message | Raw | None, context: CallContext
    ) -> ClientStream[Any, Any]:
        if self._plain:
            return await self._open_now(request, context)
        with closed_on_error():
            stream = await self._open(request, context)
            check_intercepted_stream(context, stream)
        return cast("ClientStream[Any, Any]", stream)

    async def _open_now(
        self, request: Message | Raw | None, context: CallContext
    ) -> ClientStream[Any, Any]:
        payload = b"" if request is None else request.SerializeToString()
        try:
            session = await self._session_with_room(context)
            stream, inbox = session.open_stream(
                context.method, payload, timeout_nano(context), context.pairs
            )
        except BaseException as exc:
            counts = self._record.counts
            counts.started += 1
            counts.count_failure(code_of(exc))
            raise
        if context.deadline is not None:
            session.expire_at(context.deadline.at, stream, timed_out(context))
        handle: ClientStream[Any, Any] = ClientStream(stream, inbox, session)
        opened(handle)
        return handle

    async def _session_with_room(self, context: CallContext) -> ClientSession:
        try:
            async with _until(context.deadline):
                session = await self._connected()
                await session.room()
        except TimeoutError:
            raise timed_out(context) from None
        return session

    async def _connected(self) -> ClientSession:
        if asyncio.get_running_loop() is not self._loop:
            # The answer would be received by the client's loop, or by none.
            raise RuntimeError("client: belongs to another event loop")
        session = self._session
        if session.transport.closed is None:
            return session
        if self._closed or self._reconnect is None:
            raise Closed(str(session.transport.closed))
        async with self._dial_lock:
            if self._session is session:
                try:
                    sock = await dial(self._address, timeout=self._reconnect)
                except Closed:
                    self._record.connections_failed += 1
                    raise
                if self._closed:
                    sock.close()
                    raise Closed("connection: closed on this side")
                self._session = self._use(sock)
        return self._session

    def _use(self, connection: socket.socket | ByteStream) -> ClientSession:
        sock = owned_socket(connection)
        session = ClientSession(sock, self._limits, self._keepalive, self._record)
        try:
            self._record.connection_made(self._peer)
        except BaseException:
            # The hook ended the program, and nobody has the session yet.
            session.transport.close("closed on this side")
            raise
        return session


def _until(deadline: Deadline | None) -> asyncio.Timeout:
    return asyncio.timeout_at(None if deadline is None else deadline.at)
