# SPDX-License-Identifier: Apache-2.0
"""The blocking client, for one thread at a time: others are told so at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

from google.protobuf.message import Message

from ttrpc.address import Address
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
from ttrpc.interceptor import chain
from ttrpc.limits import Limits
from ttrpc.metadata import MetadataLike
from ttrpc.opened_streams import closed_on_error, opened
from ttrpc.raw import Raw
from ttrpc.service import Method, RequestT, ResponseT
from ttrpc.socket_check import check_connected
from ttrpc.status import code_of
from ttrpc.stream import Stream
from ttrpc.sync.client_session import ClientSession
from ttrpc.sync.client_stream import ClientStream
from ttrpc.sync.dial import dial
from ttrpc.sync.inbox import Inbox
from ttrpc.sync.thread_guard import ThreadGuard

Proceed = Callable[[Any, CallContext], Any]
Interceptor = Callable[[Any, CallContext, Proceed], Any]
"""As `ttrpc.interceptor` describes it, but a plain function."""


class Client:
    """Calls methods of a server, one after the other.

        with Client.connect("unix:///run/echo.sock") as client:
            response = client.call(ECHO, request, timeout=2)

    Arguments and errors are those of `ttrpc.aio.Client`. While one thread uses the
    client or one of its streams, another gets a RuntimeError, and so does a process
    that was forked. A call that KeyboardInterrupt ends is given up as at its timeout;
    if it came while a call was started, or bytes were sent or received, the connection
    is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
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
        """Use a connected socket, which the client owns from now on.

        Its `timeout` is the `call_timeout` of `connect`.
        """
        self._timeout = checked_timeout("timeout", timeout)
        check_reconnect(reconnect, address)
        keepalive = checked_period("keepalive", keepalive)
        check_connected(sock)
        self._address = address
        self._limits = limits or Limits()
        self._reconnect = reconnect
        self._keepalive = keepalive
        self._closed = False
        self._record = ClientRecord(connected, disconnected)
        self._peer = Peer(str(address))
        self._guard = ThreadGuard()
        self._session = self._use(sock)
        self._call = chain(interceptors, self._invoke)
        self._open = chain(interceptors, self._open_now)

    @classmethod
    def connect(
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
        """Connect to an address, for up to `timeout` seconds; None tries once.

        Raises:
            ValueError: `address` is not an address, or a number of seconds is none.
            Closed: nobody listens there.
        """
        checked_timeout("call_timeout", call_timeout)
        check_reconnect(reconnect, address)
        keepalive = checked_period("keepalive", keepalive)
        sock = dial(address, timeout=timeout)
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
        return self._session.closed

    @property
    def counters(self) -> ClientCounters:
        """What the client has done so far."""
        session = self._session
        is_open = session.closed is None
        return self._record.counters(
            received=session.received if is_open else 0,
            sent=session.sent if is_open else 0,
        )

    def call(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ResponseT:
        """Call a unary method and return its response.

        Raises:
            StatusError: the call ended with this status; DEADLINE_EXCEEDED after
                `timeout` seconds or at the deadline.
            Closed: the connection was lost; the server may have got the request.
            RuntimeError: another thread uses the client, or another process made it.
        """
        check_call(method, request)
        context = self._new_context(method, timeout, deadline, metadata)
        response = self._call(request, context)
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
    ) -> ClientStream[RequestT, ResponseT]:
        """Open a stream, with the one message of a client that does not stream.

        `with client.open_stream(...) as stream` abandons a stream that has not ended.
        Raises as `call` does.
        """
        check_opening(method, request)
        context = self._new_context(method, timeout, deadline, metadata)
        with closed_on_error():
            stream = self._open(request, context)
            check_intercepted_stream(context, stream)
        return cast("ClientStream[RequestT, ResponseT]", stream)

    def close(self) -> None:
        """End the connection; closing twice is harmless.

        After a fork, the connection stays with the other process.
        """
        if self._guard.is_forked:
            self._end()
            return
        with self._guard:
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._session.close("closed on this side")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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
            time.monotonic,
            timeout=timeout,
            deadline=deadline,
            default_timeout=self._timeout,
            metadata=metadata,
        )

    def _invoke(self, request: Message | Raw, context: CallContext) -> Message | Raw:
        counts = self._record.counts
        counts.started += 1
        try:
            payload = request.SerializeToString()
            answer = self._answer(payload, context)
            response = parse_response(context.method, answer)
        except BaseException as exc:
            counts.count_failure(code_of(exc))
            raise
        counts.succeeded += 1
        return response

    def _answer(self, payload: bytes, context: CallContext) -> bytes:
        method, deadline = context.method, context.deadline
        try:
            with self._guard:
                session = self._connected(context)
                remaining = timeout_nano(context)
                return session.call(method, payload, remaining, context.pairs, deadline)
        except TimeoutError:
            raise timed_out(context) from None

    def _open_now(
        self, request: Message | Raw | None, context: CallContext
    ) -> ClientStream[Any, Any]:
        payload = b"" if request is None else request.SerializeToString()
        counts = self._record.counts
        started = counts.started
        try:
            session, stream, inbox = self._opened(payload, context)
        except BaseException as exc:
            if counts.started == started:
                # Its request was never sent, so the session does not count it.
                counts.started += 1
                counts.count_failure(code_of(exc))
            raise
        handle: ClientStream[Any, Any] = ClientStream(stream, inbox, session, context)
        opened(handle)
        return handle

    def _opened(
        self, payload: bytes, context: CallContext
    ) -> tuple[ClientSession, Stream, Inbox]:
        method, deadline = context.method, context.deadline
        try:
            with self._guard:
                session = self._connected(context)
                stream, inbox = session.open_stream(
                    method, payload, timeout_nano(context), context.pairs, deadline
                )
        except TimeoutError:
            raise timed_out(context) from None
        return session, stream, inbox

    def _connected(self, context: CallContext) -> ClientSession:
        self._session.close_if_torn()
        if self._session.closed is not None:
            if self._closed or self._reconnect is None:
                raise Closed(str(self._session.closed))
            self._session = self._use(self._dial_again(context))
        return self._session

    def _use(self, sock: socket.socket) -> ClientSession:
        session = ClientSession(
            sock, self._limits, self._guard, self._keepalive, self._record
        )
        try:
            self._record.connection_made(self._peer)
        except BaseException:
            # The hook ended the program, and nobody has the session yet.
            session.close("closed on this side")
            raise
        return session

    def _dial_again(self, context: CallContext) -> socket.socket:
        """Connect within the time of `reconnect` and of the call.

        Raises:
            StatusError: DEADLINE_EXCEEDED, the call has no more time.
            Closed: nobody listens.
        """
        assert self._reconnect is not None
        limit = self._reconnect
        deadline = context.deadline
        if deadline is not None:
            limit = min(limit, deadline.remaining())
        if limit < 0:
            raise timed_out(context)
        try:
            return dial(self._address, timeout=limit)
        except Closed as exc:
            self._record.connections_failed += 1
            is_refused = isinstance(exc.__cause__, PermissionError)
            if limit < self._reconnect and not is_refused:
                raise timed_out(context) from exc
            raise
