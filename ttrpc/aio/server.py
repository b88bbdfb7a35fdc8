# SPDX-License-Identifier: Apache-2.0
"""The server: listeners, and a session for each connection they accept."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence

from ttrpc.address import Address
from ttrpc.aio.dial import SocketFile, listen
from ttrpc.aio.server_session import ServerSession
from ttrpc.backoff import Backoff
from ttrpc.bound_service import BoundService
from ttrpc.call_context import Peer, PeerCredentials
from ttrpc.errors import ServerClosed, StatusError
from ttrpc.interceptor import Interceptor
from ttrpc.limits import Limits
from ttrpc.quota import Quota
from ttrpc.route import Routes
from ttrpc.status import to_status

log = logging.getLogger(__name__)

UCRED = struct.Struct("iII")
"""struct ucred: pid, uid, gid (man 7 unix, SO_PEERCRED)."""
ACCEPT_BATCH = 64
"""Connections accepted before others get their turn."""
CANCEL_TIMEOUT = 1.0
"""Seconds that `shutdown` leaves to handlers that it has cancelled."""
OUT_OF_SOMETHING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """Serves bound services on any number of listeners.

    server = Server([bind(echo_pb2.DESCRIPTOR.services_by_name["Echo"], Echo())])
    await server.listen("unix:///run/echo.sock")
    ...
    await server.shutdown(timeout=10)
    """

    def __init__(
        self,
        services: Iterable[BoundService],
        *,
        interceptors: Sequence[Interceptor] = (),
        status_of: Callable[[BaseException], StatusError] = to_status,
        limits: Limits | None = None,
        authorize: Callable[[Peer], bool] | None = None,
    ) -> None:
        """Set up; nothing listens yet.

        Args:
            interceptors: Around every call, the first is outermost.
            status_of: Turns what a handler raised into what the caller sees.
            limits: What peers may make this server hold.
            authorize: Whether a peer may connect. One that may not is hung up on.
        """
        self.routes = Routes(services, interceptors)
        self.status_of = status_of
        self.limits = limits or Limits()
        self.calls_in_flight = 0
        self.unread = Quota(self.limits.queued)
        self.held = Quota(self.limits.held)
        self._authorize = authorize
        self._listeners: dict[socket.socket, Backoff] = {}
        self._files: list[SocketFile] = []
        self._sessions: set[ServerSession] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._sessions)

    async def listen(self, where: Address | str | socket.socket) -> None:
        """Serve an address, or a socket that listens already.

        Returns when connections are accepted. The server owns the socket, and when it
        made a file for it, removes that in the end.

        Raises:
            ServerClosed: after `shutdown` or `close`.
            OSError: the address cannot be had.
        """
        if self._closed:
            if isinstance(where, socket.socket):
                where.close()
            raise ServerClosed("server: closed")
        if isinstance(where, socket.socket):
            listener = where
            listener.setblocking(False)
        else:
            listener = listen(where)
            if file := SocketFile.of(listener):
                self._files.append(file)
        self._listeners[listener] = Backoff(0.001, 1.0)
        asyncio.get_running_loop().add_reader(listener, self._on_acceptable, listener)

    def serve_connection(self, sock: socket.socket) -> None:
        """Serve a connected socket, which the server owns from now on."""
        sock.setblocking(False)
        try:
            peer = peer_of(sock)
            welcome = not self._closed and (
                self._authorize is None or self._authorize(peer)
            )
        except OSError:
            welcome = False  # It has gone already.
        except Exception:
            log.exception("nobody may connect: authorize failed")
            welcome = False
        if not welcome:
            sock.close()
            return
        self._sessions.add(ServerSession(self, sock, peer))
        self._empty.clear()

    async def shutdown(self, timeout: float | None = None) -> bool:
        """Finish the calls in flight and take no new ones, then close.

        Returns whether all of them were answered; those that were not within
        `timeout` seconds are cut off.
        """
        self._close_listeners()
        for session in list(self._sessions):
            session.drain()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return all(session.is_drained for session in self._sessions)
        finally:
            self.close()
            if self._ending:
                await asyncio.wait(self._ending, timeout=CANCEL_TIMEOUT)
        return True

    def close(self) -> None:
        """Hang up on everybody and cancel the calls in flight."""
        self._close_listeners()
        for session in list(self._sessions):
            session.transport.close("the server closed it")

    async def wait_closed(self) -> None:
        """Wait until no connection is left and no handler runs."""
        await self._empty.wait()
        while self._ending:
            await asyncio.wait(self._ending)

    def session_ended(self, session: ServerSession) -> None:
        """For sessions only: its connection has ended, its handlers may not have."""
        self._sessions.discard(session)
        task = asyncio.get_running_loop().create_task(session.wait_closed())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        if not self._sessions:
            self._empty.set()

    def _close_listeners(self) -> None:
        self._closed = True
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for file in self._files:
            file.remove()
        self._files.clear()

    def _on_acceptable(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._accept_failed(listener, exc)
                return
            self._listeners[listener].succeeded()
            self.serve_connection(sock)

    def _accept_failed(self, listener: socket.socket, exc: OSError) -> None:
        log.error("accept failed", exc_info=exc)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        if exc.errno in OUT_OF_SOMETHING:
            backoff = self._listeners[listener]
            loop.call_later(backoff.pause, self._accept_again, listener)
            backoff.failed()
        else:
            del self._listeners[listener]
            listener.close()

    def _accept_again(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(
                listener, self._on_acceptable, listener
            )


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end of a connected socket."""
    if sock.family == socket.AF_UNIX:
        ucred = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        name = sock.getsockname()
        path = name if isinstance(name, str) else "@" + os.fsdecode(name[1:])
        address = f"unix://{path}" if len(path) > 1 else ""
        return Peer(address, PeerCredentials(*UCRED.unpack(ucred)))
    if sock.family == socket.AF_VSOCK:
        cid, port = sock.getpeername()
        return Peer(f"vsock://{cid}:{port}")
    return Peer("")
