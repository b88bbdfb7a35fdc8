# SPDX-License-Identifier: Apache-2.0
"""The server: its listeners, and a session for each connection they accept."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from ttrpc.address import Address
from ttrpc.aio.dial import dial
from ttrpc.aio.idle_watch import IdleWatch
from ttrpc.aio.listen import BACKLOG, listen
from ttrpc.aio.listener import Listener
from ttrpc.aio.owned_socket import check_connection, owned_socket
from ttrpc.aio.peer import peer_of
from ttrpc.aio.served_connection import CANCEL_TIMEOUT, ServedConnection
from ttrpc.aio.server_session import ServerSession
from ttrpc.aio.serving import Serving
from ttrpc.aio.stop_signals import stop_signals
from ttrpc.bound_service import BoundService, Handler
from ttrpc.call_context import Peer
from ttrpc.call_counts import CallCounts
from ttrpc.deadline import checked_period
from ttrpc.errors import EXITS, Closed, ServerClosed, StatusError
from ttrpc.hook import call_hook, check_hooks
from ttrpc.interceptor import Interceptor
from ttrpc.late_service import LateService
from ttrpc.limits import Limits
from ttrpc.quota import Quota
from ttrpc.routes import Routes
from ttrpc.socket_check import check_listening
from ttrpc.status import to_status

if TYPE_CHECKING:
    from ttrpc.aio.byte_stream import ByteStream
    from ttrpc.counters import Counters

log = logging.getLogger(__name__)

ConnectionHook = Callable[[ServedConnection], object]
"""A plain function; its result is ignored, and an exception is logged."""
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Server:
    """Serves bound services on any number of listeners.

        async with Server([bind(ECHO, Echo())]) as server:
            await server.listen("unix:///run/echo.sock")
            await server.serve_until_signal(timeout=10)

    Leaving the block closes the server, and cancels the calls in flight.
    """

    def __init__(
        self,
        services: Iterable[BoundService | LateService],
        *,
        interceptors: Sequence[Interceptor] = (),
        fallback: Handler | None = None,
        status_of: Callable[[BaseException], StatusError] = to_status,
        limits: Limits | None = None,
        authorize: Callable[[Peer], bool] | None = None,
        connected: ConnectionHook | None = None,
        disconnected: ConnectionHook | None = None,
        stopping: Callable[[], object] | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        """Set up a server that does not listen yet.

        Args:
            services: What `bind` returns, or a `LateService` for one that is made by
                the first request for it.
            interceptors: Wrapped around every call; the first is outermost.
            fallback: Handler of the methods that have none. Its messages are `Raw`, and
                `context.method` has the names. Where a client streams, the server may
                stream or return one response; the client has to know which.
            status_of: Maps an exception of a handler to the status for the caller.
            limits: Bounds the memory that peers can make this server use.
            authorize: Returns True for a peer that may connect; after any other result
                the peer is hung up on.
            connected: Called with each connection that is served from now on.
            disconnected: Called when it has ended; `closed` has the cause.
            stopping: Called when `shutdown` begins, so that calls that would wait for
                something else can end.
            idle_timeout: Seconds after which a connection is closed on which no call
                is in flight and no frame arrives, or on which the rest of a frame does
                not; it may take a quarter more. None leaves them open.

        Raises:
            ValueError: two of `services` have the same name, or `idle_timeout` is not
                a positive number.
            TypeError: one of the functions is a coroutine function.
        """
        check_hooks(
            status_of=status_of,
            authorize=authorize,
            connected=connected,
            disconnected=disconnected,
            stopping=stopping,
        )
        idle_timeout = checked_period("idle_timeout", idle_timeout)
        limits = limits or Limits()
        self._serving = Serving(
            Routes(services, interceptors, fallback),
            limits,
            status_of,
            held=Quota(limits.held, clock=time.monotonic),
            unread=Quota(limits.queued),
            counts=CallCounts(),
        )
        self._authorize = authorize
        self._connected = connected
        self._disconnected = disconnected
        self._stopping_hook = stopping
        self._served = self._refused = 0
        """Connections so far."""
        self._listeners: list[Listener] = []
        self._sessions: dict[ServerSession, ServedConnection] = {}
        self._idle_watch: IdleWatch | None = None
        if idle_timeout is not None:
            self._idle_watch = IdleWatch(idle_timeout, self._sessions)
        self._ending: set[asyncio.Task[None]] = set()
        """Wait for the handlers of connections that have ended."""
        self._closed = False
        self._is_full = False
        """Whether the log has that there are as many connections as may be."""
        self._stopping = asyncio.Event()
        """Set by the end of serving, or by a signal that asks for it."""
        self._cut_off = False
        """Whether a connection was closed before all its calls were answered."""
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._sessions)

    @property
    def calls_in_flight(self) -> int:
        """Number of calls whose handlers have a task, over all connections."""
        return self._serving.calls_in_flight

    @property
    def counters(self) -> Counters:
        """What the server has done so far."""
        # Imported here, because most servers are never asked.
        from ttrpc.counters import Counters

        serving = self._serving
        counts = serving.counts
        transports = [session.transport for session in self._sessions]
        return Counters(
            connections=self._served,
            connections_refused=self._refused,
            calls=counts.started,
            calls_ended=counts.ended(),
            calls_refused=counts.refused,
            frames_refused=counts.refused_frames,
            bytes_received=serving.bytes_received + sum(t.received for t in transports),
            bytes_sent=serving.bytes_sent + sum(t.sent for t in transports),
        )

    async def listen(
        self,
        where: Address | str | socket.socket,
        *,
        mode: int | None = None,
        owner: tuple[int, int] | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        """Serve an address, or a socket that listens already.

        Returns when connections are accepted. The server owns the socket from now on.
        In the end the server removes the file of a unix socket if it made that file.

        Args:
            mode: Permissions of a unix socket's file, 0o660 for example; who may write
                it may connect. None takes the umask.
            owner: User id and group id of that file; -1 keeps one as it is.
            backlog: Connections that may wait to be accepted.

        Raises:
            ServerClosed: after `shutdown` or `close`.
            ValueError: `where` is not an address to listen on, or not a stream socket
                that listens, without TLS; or there is no file of ours for `mode` or
                `owner`.
            OSError: the address is in use, or this process may not use it.
        """
        if self._closed:
            if isinstance(where, socket.socket):
                where.close()
            raise ServerClosed("server: closed")
        if isinstance(where, socket.socket):
            if mode is not None or owner is not None:
                raise ValueError("socket: mode and owner are for addresses")
            check_listening(where)
            sock, owns_file = where, False
            sock.setblocking(False)
        else:
            sock = await listen(where, mode=mode, owner=owner, backlog=backlog)
            owns_file = True
        listener = Listener(sock, accepted=self._serve, owns_file=owns_file)
        if self._closed:  # While it waited.
            listener.close()
            raise ServerClosed("server: closed")
        self._listeners.append(listener)

    def serve_connection(
        self, connection: socket.socket | ByteStream, *, peer: Peer | None = None
    ) -> ServedConnection:
        """Serve a connected socket or stream, which the server owns from now on.

        A connection that may not be served, because the server is closed or the peer
        is not authorized, is closed at once: `closed` of the result has the cause.

        Args:
            peer: What handlers and `authorize` see; None asks the socket.

        Raises:
            ValueError: a socket that is not a connected stream socket without TLS; the
                caller still owns it.
            TypeError: neither a socket nor a `ByteStream`.
        """
        check_connection(connection)
        return self._serve(connection, peer)

    async def connect(
        self, address: Address | str, *, timeout: float | None = None
    ) -> ServedConnection:
        """Connect to a peer and serve it: on this connection the peer is the client.

        A plugin does so, for example. The other arguments and the errors are those of
        `Client.connect`.
        """
        sock = await dial(address, timeout=timeout)
        try:
            peer = Peer(str(address), peer_of(sock).credentials)
        except OSError:
            peer = Peer(str(address))
        return self._serve(sock, peer)

    def _serve(
        self, connection: socket.socket | ByteStream, peer: Peer | None = None
    ) -> ServedConnection:
        sock = owned_socket(connection)
        try:
            if peer is None:
                # Nobody knows who is behind a stream.
                peer = peer_of(sock) if isinstance(sock, socket.socket) else Peer("")
            refusal = self._refusal(peer)
        except OSError as exc:
            refusal = f"closed by the peer: {exc}"
        except EXITS:
            sock.close()
            raise
        except BaseException:
            log.exception("authorize callback failed, connection refused")
            refusal = "not authorized"
        peer = peer or Peer("")
        if refusal is not None:
            self._refused += 1
            sock.close()
            return ServedConnection(peer, None, Closed(f"connection: {refusal}"))
        session = ServerSession(self._serving, sock, peer, ended=self._session_ended)
        served = self._sessions[session] = ServedConnection(peer, session)
        self._served += 1
        if self._idle_watch is not None:
            self._idle_watch.start()
        self._empty.clear()
        call_hook("connection", self._connected, served)
        return served

    def _refusal(self, peer: Peer) -> str | None:
        """Return why a peer may not connect. Raises the errors of `authorize`."""
        if self._closed:
            return "the server is closed"
        limit = self._serving.limits.connections
        if len(self._sessions) >= limit:
            if not self._is_full:
                self._is_full = True
                log.warning(
                    "connections refused until one ends", extra={"limit": limit}
                )
            return "too many connections"
        if self._authorize is None:
            return None
        answer: object = self._authorize(peer)
        if isinstance(answer, Coroutine):
            answer.close()
        if not isinstance(answer, bool):
            raise TypeError(f"authorize returned {type(answer).__name__}, not a bool")
        return None if answer else "not authorized"

    async def serve_until_signal(
        self,
        *,
        timeout: float | None = None,
        signals: Iterable[signal.Signals] = STOP_SIGNALS,
    ) -> bool:
        """Serve until a signal arrives, then `shutdown(timeout)`.

        A second signal cuts off the calls that are still in flight. Returns whether
        all calls were answered; also when another task has shut the server down.

        Raises:
            RuntimeError: this is not the main thread.
        """
        with stop_signals(signals, self._signalled):
            await self._stopping.wait()
            return await self.shutdown(timeout)

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self.close()
        self._stopping.set()

    async def shutdown(self, timeout: float | None = None) -> bool:
        """Take no new calls, finish those in flight, then close.

        Calls that are not answered within `timeout` seconds are cut off. Returns
        whether all were answered.
        """
        self._close_listeners()
        call_hook("stopping", self._stopping_hook)
        for session in list(self._sessions):
            session.drain()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            pass  # `close` cuts off what is left.
        finally:
            self.close()
            if self._ending:
                await asyncio.wait(self._ending, timeout=CANCEL_TIMEOUT)
        return not self._cut_off

    def close(self) -> None:
        """Close all connections and cancel the calls in flight."""
        self._close_listeners()
        for session in list(self._sessions):
            session.close("closed by the server")

    async def wait_closed(self) -> None:
        """Wait until no connection is left and no handler runs."""
        await self._empty.wait()
        while self._ending:
            await asyncio.wait(self._ending)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if self._ending:
            await asyncio.wait(self._ending, timeout=CANCEL_TIMEOUT)

    def _session_ended(self, session: ServerSession) -> None:
        """Forget a session whose connection has ended, and wait for its handlers."""
        connection = self._sessions.pop(session)
        self._is_full = False
        self._cut_off |= session.cut_off
        task = asyncio.get_running_loop().create_task(session.wait_closed())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        if not self._sessions:
            self._empty.set()
        call_hook("connection", self._disconnected, connection)

    def _close_listeners(self) -> None:
        self._closed = True
        self._stopping.set()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
