# SPDX-License-Identifier: Apache-2.0
"""The client's work for one connection: hands answers to the tasks that wait."""

from __future__ import annotations

import asyncio
import socket
import weakref
from typing import TYPE_CHECKING, Any

from ttrpc.aio.inbox import Inbox
from ttrpc.aio.pending_call import PendingCall
from ttrpc.aio.transport import Transport
from ttrpc.client_connection import ClientConnection
from ttrpc.client_record import ClientRecord
from ttrpc.codes import Code
from ttrpc.errors import Closed, StreamFull
from ttrpc.frame import Payload
from ttrpc.keepalive import NO_ANSWER, Keepalive, Step
from ttrpc.limits import Limits
from ttrpc.metadata import Pairs
from ttrpc.quota import Quota
from ttrpc.service import Method
from ttrpc.share import Share
from ttrpc.status import code_of
from ttrpc.stream import Stream
from ttrpc.stream_watcher import end_all

if TYPE_CHECKING:
    from ttrpc.aio.stream_socket import StreamSocket


class ClientSession:
    """One connection and the calls on it."""

    __slots__ = (
        "_calls",
        "_cork",
        "_ended",
        "_held",
        "_inbox_limit",
        "_inboxes",
        "_keepalive_timer",
        "_loop",
        "_record",
        "_timers",
        "connection",
        "transport",
    )

    def __init__(
        self,
        sock: socket.socket | StreamSocket,
        limits: Limits,
        keepalive: float | None,
        record: ClientRecord,
    ) -> None:
        """Use a connected, nonblocking socket.

        `keepalive` is the time in seconds within which a dead server is noticed.
        Streams, and the end of the connection, are told to `record`.
        """
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, PendingCall] = {}
        """The unary calls that wait for their answer, by stream id."""
        self._inboxes: dict[int, Inbox] = {}
        """The inboxes of the streams that have not ended, by stream id."""
        self._ended: weakref.WeakSet[Inbox] = weakref.WeakSet()
        """The inboxes of streams that have ended, where much was left unread then. It
        counts until their readers take or drop it."""
        self._timers: dict[int, asyncio.TimerHandle] = {}
        """The timers that end streams at their deadlines, by stream id."""
        self._inbox_limit = limits.stream_inbox
        self._held = Share(Quota(limits.held), limits.held_per_connection)
        self.connection = ClientConnection(
            self, limit=limits.message, counts=record.counts
        )
        self.transport = Transport(
            sock,
            outbox=self.connection.outbox,
            receive_frame=self.connection.receive_frame,
            lost=self._connection_ended,
            unread=Share(Quota(limits.queued), limits.queued_per_connection),
            message_limit=limits.message,
        )
        self._cork = self.transport.cork
        self._keepalive_timer: asyncio.TimerHandle | None = None
        if keepalive is not None:
            self._schedule_check(Keepalive(keepalive, now=self._loop.time()))

    async def call(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
    ) -> bytes:
        """Send a unary request and return the payload of its response.

        Raises:
            StatusError: the server answered with this status.
            OversizedMessage: the request or the response is over the limit.
            RemoteProtocolError: the answer is not a Response.
            Closed: the connection has ended.
        """
        await self.room()
        stream_id = self.connection.start_call(method, payload, timeout_nano, metadata)
        calls = self._calls
        call = calls[stream_id] = PendingCall()
        if len(calls) == 1:
            self._cork.flush()
        else:
            self._cork.flush_soon()
        try:
            return await call.outcome()
        finally:
            if calls.pop(stream_id, None) is not None:
                self.connection.abandon_call(stream_id)

    async def room(self) -> None:
        """Wait while the server leaves too much unread.

        Otherwise the requests of calls that were given up would pile up.

        Raises:
            Closed: the connection has ended.
        """
        if self.transport.is_full:
            await self.transport.drain()
        self.check_connected()

    def open_stream(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
    ) -> tuple[Stream, Inbox]:
        """Send the request that opens a stream.

        Raises:
            OversizedMessage: the request is over the limit; nothing was sent.
            Closed: the connection has ended.
        """
        self.check_connected()
        stream = self.connection.open_stream(method, payload, timeout_nano, metadata)
        inbox = Inbox(self._inbox_limit, self._held, self._cork.after_frames)
        self._inboxes[stream.stream_id] = inbox
        self._cork.flush_soon()
        return stream, inbox

    def check_connected(self) -> None:
        """Raise Closed if the connection has ended."""
        if self.transport.closed is not None:
            raise Closed(str(self.transport.closed))

    def abandon(self, stream: Stream) -> None:
        """End the stream from this side; harmless if it has ended."""
        if not stream.is_closed:
            error = Closed(f"stream {stream.stream_id}: abandoned")
            self._give_up(stream, error, Code.CANCELLED)

    def expire_at(self, when: float, stream: Stream, error: Exception) -> None:
        """End the stream at loop time `when` unless it has ended before."""
        timer = self._loop.call_at(when, self.expire, stream, error)
        self._timers[stream.stream_id] = timer

    def expire(self, stream: Stream, error: Exception) -> None:
        """End the stream from this side; its reader sees `error` next."""
        if not stream.is_closed:
            self._give_up(stream, error, code_of(error))

    def _give_up(self, stream: Stream, error: Exception, code: Code | int) -> None:
        self._stop_timer(stream)
        self.connection.abandon_stream(stream, code)
        self._inboxes.pop(stream.stream_id).fail(error)
        self._cork.flush_soon()
        self.transport.wake()

    def _schedule_check(self, keepalive: Keepalive) -> None:
        self._keepalive_timer = self._loop.call_later(
            keepalive.interval, self._check_alive, keepalive
        )

    def _check_alive(self, keepalive: Keepalive) -> None:
        step = keepalive.check(self.transport.received, now=self._loop.time())
        if step is Step.GIVE_UP:
            self.transport.close(NO_ANSWER)
            return
        if step is Step.PROBE:
            self.connection.send_probe()
            self._cork.flush_soon()
        self._schedule_check(keepalive)

    # The events of the connection.

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        call = self._calls.pop(stream_id)
        call.payload = payload
        self._cork.after_frames(call.wake)

    def call_failed(self, stream_id: int, error: Exception) -> None:
        call = self._calls.pop(stream_id)
        call.error = error
        self._cork.after_frames(call.wake)

    def message_received(self, stream: Stream, payload: Payload) -> None:
        inbox = self._inboxes[stream.stream_id]
        if not inbox.put(payload):
            name = stream.method.full_method
            error = StreamFull(f"{name}: its reader is too slow")
            if stream.is_closed:
                # The one response, for which other streams have left no room.
                inbox.fail(error)
            else:
                self.expire(stream, error)

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        self._stop_timer(stream)
        inbox = self._inboxes.pop(stream.stream_id)
        inbox.end(error)
        if inbox.has_borrowed:
            self._ended.add(inbox)
        self.transport.wake()

    def _stop_timer(self, stream: Stream) -> None:
        timer = self._timers.pop(stream.stream_id, None)
        if timer is not None:
            timer.cancel()

    def _connection_ended(self, reason: Closed) -> None:
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            call.error = Closed(str(reason))
            self._cork.after_frames(call.wake)
        inboxes = list(self._inboxes.values())
        self._inboxes.clear()
        # The peer sends no more, so there is nothing left to bound.
        for inbox in (*inboxes, *self._ended):
            inbox.release()
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        # Before their watchers are told, who may close these streams.
        self.connection.end_all()
        transport = self.transport
        try:
            # Messages that arrived before the connection broke can still be read.
            end_all(inboxes, reason)
        finally:
            self._record.connection_ended(
                reason, received=transport.received, sent=transport.sent
            )
