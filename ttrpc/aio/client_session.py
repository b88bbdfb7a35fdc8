# SPDX-License-Identifier: Apache-2.0
"""The client's work for one connection: from an answer to who waits for it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ttrpc.aio.inbox import Inbox
from ttrpc.aio.transport import Transport
from ttrpc.aio.wakeup import Wakeup
from ttrpc.client_connection import ClientConnection
from ttrpc.envelope import Payload
from ttrpc.errors import Closed, StreamFull
from ttrpc.limits import Limits
from ttrpc.metadata import Pairs
from ttrpc.quota import Quota, Share
from ttrpc.service import Method
from ttrpc.stream import Stream


class Answer:
    """What a unary call waits for."""

    __slots__ = ("_wakeup", "error", "payload")

    def __init__(self) -> None:
        self._wakeup = Wakeup()
        self.payload: bytes | None = None
        self.error: Exception | None = None

    async def get(self) -> bytes:
        while self.payload is None:
            if self.error is not None:
                raise self.error
            await self._wakeup
        return self.payload

    def wake(self) -> None:
        self._wakeup.wake()


class ClientSession:
    """One connection and the calls on it."""

    __slots__ = (
        "_held",
        "_inbox_limit",
        "_loop",
        "_timers",
        "_waiting",
        "connection",
        "transport",
    )

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, Answer] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        """Those that end streams at their deadlines, by stream id."""
        self._inbox_limit = limits.stream_inbox
        self._held = Share(Quota(limits.held), limits.held_per_connection)
        self.connection = ClientConnection(self, limit=limits.message)
        self.transport = Transport(
            sock,
            outbox=self.connection.outbox,
            receive_frame=self.connection.receive_frame,
            lost=self._lost,
            unread=Share(Quota(limits.queued), limits.queued_per_connection),
            message_limit=limits.message,
        )

    async def call(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
    ) -> bytes:
        """Send a unary request and return the payload of its answer."""
        self._check_connected()
        stream_id = self.connection.start_call(method, payload, timeout_nano, metadata)
        waiting = self._waiting
        answer = waiting[stream_id] = Answer()
        if len(waiting) == 1:
            self.transport.flush()
        else:
            self.transport.flush_soon()
        try:
            return await answer.get()
        finally:
            if waiting.pop(stream_id, None) is not None:
                self.connection.abandon_call(stream_id)

    def open_stream(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
    ) -> Stream:
        self._check_connected()
        stream = self.connection.open_stream(method, payload, timeout_nano, metadata)
        stream.inbox = Inbox(self._inbox_limit, self._held, self.transport.after_frames)
        self.transport.flush_soon()
        return stream

    def check_open(self, stream: Stream) -> None:
        """Raise what ended the stream, if an error did."""
        self._check_connected()
        stream.inbox.check()

    def abandon(self, stream: Stream) -> None:
        if not stream.is_closed:
            self.expire(stream, Closed(f"stream {stream.stream_id}: abandoned"))

    def expire_at(self, when: float, stream: Stream, error: Exception) -> None:
        """Have it end at loop time `when`, if it has not ended by then."""
        timer = self._loop.call_at(when, self.expire, stream, error)
        self._timers[stream.stream_id] = timer

    def expire(self, stream: Stream, error: Exception) -> None:
        """End the stream from this side, with what its reader is to see."""
        if not stream.is_closed:
            self._stop_timer(stream)
            self.connection.abandon_stream(stream)
            stream.inbox.fail(error)
            self.transport.flush_soon()
            self.transport.wake()

    # What the connection tells.

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        answer = self._waiting.pop(stream_id)
        answer.payload = payload
        self.transport.after_frames(answer.wake)

    def call_failed(self, stream_id: int, error: Exception) -> None:
        answer = self._waiting.pop(stream_id)
        answer.error = error
        self.transport.after_frames(answer.wake)

    def message_received(self, stream: Stream, payload: Payload) -> None:
        if not stream.inbox.put(payload):
            name = stream.method.full_method
            self.expire(stream, StreamFull(f"{name}: its reader is too slow"))

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        self._stop_timer(stream)
        stream.inbox.end(error)
        # What it has is its reader's now, who may as well forget it.
        stream.inbox.release()
        self.transport.wake()

    def _stop_timer(self, stream: Stream) -> None:
        timer = self._timers.pop(stream.stream_id, None)
        if timer is not None:
            timer.cancel()

    def _check_connected(self) -> None:
        if self.transport.closed is not None:
            raise Closed(str(self.transport.closed))

    def _lost(self, reason: Closed) -> None:
        waiting = list(self._waiting.values())
        self._waiting.clear()
        for answer in waiting:
            answer.error = Closed(str(reason))
            self.transport.after_frames(answer.wake)
        for stream in list(self.connection.streams.values()):
            # What came before the connection broke can still be read.
            stream.inbox.end(reason)
            self._stop_timer(stream)
        self.connection.end_all()
