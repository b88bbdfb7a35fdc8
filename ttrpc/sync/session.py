# SPDX-License-Identifier: Apache-2.0
"""The blocking client's work for one connection.

It reads whenever it waits, also while it waits to write: a server that is busy
writing to us need not read until we do.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from typing import Any

from ttrpc.client_connection import ClientConnection
from ttrpc.deadline import Deadline
from ttrpc.decoder import FrameDecoder
from ttrpc.envelope import Payload
from ttrpc.errors import Closed, StreamFull, TtrpcError
from ttrpc.limits import Limits
from ttrpc.metadata import Pairs
from ttrpc.quota import FREE
from ttrpc.service import Method
from ttrpc.stream import Stream

RECEIVE_SIZE = 64 << 10
OVERHEAD = 64
"""Bytes that a message counts for besides its own."""


class Inbox:
    """What has come on one stream and has not been taken."""

    __slots__ = ("ended", "error", "messages", "size")

    def __init__(self) -> None:
        self.messages: deque[Payload] = deque()
        self.size = 0
        self.ended = False
        self.error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            self.error = error


class Session:
    """One connection and the calls on it, for one thread at a time."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._poll = select.poll()
        self._decoder = FrameDecoder(limits.message)
        self._answers: dict[int, bytes | Exception] = {}
        self._inbox_limit = limits.stream_inbox
        self._held_limit = limits.held_per_connection
        self.connection = ClientConnection(self, limit=limits.message)
        self.closed: Closed | None = None

    def call(
        self,
        method: Method[Any, Any],
        payload: bytes,
        deadline: Deadline | None,
        metadata: Pairs,
    ) -> bytes:
        """Send a unary request and return the payload of its answer.

        Raises:
            TimeoutError: the deadline has passed.
        """
        timeout_nano = self.timeout_nano(deadline)
        stream_id = self.connection.start_call(method, payload, timeout_nano, metadata)
        try:
            while stream_id not in self._answers:
                self.turn(deadline)
        except BaseException:
            self.connection.abandon_call(stream_id)
            raise
        answer = self._answers.pop(stream_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open_stream(
        self,
        method: Method[Any, Any],
        payload: bytes,
        deadline: Deadline | None,
        metadata: Pairs,
    ) -> Stream:
        timeout_nano = self.timeout_nano(deadline)
        stream = self.connection.open_stream(method, payload, timeout_nano, metadata)
        stream.inbox = Inbox()
        try:
            self.flush(deadline)
        except BaseException:
            self.connection.abandon_stream(stream)
            raise
        return stream

    def timeout_nano(self, deadline: Deadline | None) -> int:
        """Return the time that remains, for the wire. Raises when none does."""
        if self.closed is not None:
            raise Closed(str(self.closed))
        if deadline is None:
            return 0
        now = time.monotonic()
        if deadline.remaining(now) <= 0:
            raise TimeoutError
        return deadline.timeout_nano(now)

    def take(self, stream: Stream, deadline: Deadline | None) -> Payload | None:
        """Return a stream's next message, None at its end. Raises what ended it."""
        inbox: Inbox = stream.inbox
        while not inbox.messages and not inbox.ended:
            self.turn(deadline)
        if inbox.messages:
            payload = inbox.messages.popleft()
            inbox.size -= len(payload) + OVERHEAD
            return payload
        if inbox.error is not None:
            raise inbox.error
        return None

    def flush(self, deadline: Deadline | None) -> None:
        """Write all that has been sent."""
        self._write()
        while self.connection.outbox.chunks:
            self.turn(deadline)

    def turn(self, deadline: Deadline | None) -> None:
        """Write and read what can be, waiting until something can."""
        if self.closed is not None:
            raise Closed(str(self.closed))
        self._write()
        if self.closed is not None:
            raise Closed(str(self.closed))
        writing = bool(self.connection.outbox.chunks)
        events = select.POLLIN | (select.POLLOUT if writing else 0)
        self._poll.register(self._sock, events)
        wait = None
        if deadline is not None:
            wait = max(deadline.remaining(time.monotonic()) * 1000, 0)
        ready = self._poll.poll(wait)
        if not ready:
            raise TimeoutError
        if ready[0][1] & ~select.POLLOUT:
            self._read()

    def close(self, reason: str) -> None:
        """End the connection; what waits on it fails with `reason`."""
        if self.closed is not None:
            return
        self.closed = error = Closed(f"connection: {reason}")
        self._sock.close()
        for stream_id in self.connection.calls:
            self._answers[stream_id] = error
        for stream in self.connection.streams.values():
            stream.inbox.end(error)
        self.connection.end_all()

    def _write(self) -> None:
        outbox = self.connection.outbox
        try:
            while outbox.chunks:
                data = b"".join(outbox.chunks)
                size = self._sock.send(data)
                outbox.size -= size
                outbox.chunks[:] = [memoryview(data)[size:]] if size < len(data) else []
        except BlockingIOError:
            pass
        except OSError as exc:
            self.close(f"send failed: {exc}")

    def _read(self) -> None:
        buffer = self._decoder.large_buffer
        try:
            if buffer is None:
                data = self._sock.recv(RECEIVE_SIZE)
                size = len(data)
            else:
                size = self._sock.recv_into(buffer)
        except BlockingIOError:
            return
        except OSError as exc:
            self.close(f"receive failed: {exc}")
            return
        if not size:
            self.close("the peer closed it")
            return
        receive, fill = self._decoder.receive, self._decoder.fill
        for frame in receive(data) if buffer is None else fill(size):
            self.connection.receive_frame(*frame)

    # What the connection tells.

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        self._answers[stream_id] = payload

    def call_failed(self, stream_id: int, error: Exception) -> None:
        self._answers[stream_id] = error

    def message_received(self, stream: Stream, payload: Payload) -> None:
        inbox: Inbox = stream.inbox
        size = inbox.size + len(payload) + OVERHEAD
        if size > min(FREE, self._inbox_limit) and not self._has_room(inbox):
            inbox.messages.clear()
            self.fail(
                stream, StreamFull(f"{stream.method.full_method}: reader is too slow")
            )
            return
        inbox.messages.append(payload)
        inbox.size = size

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        stream.inbox.end(error)

    def _has_room(self, inbox: Inbox) -> bool:
        if inbox.messages and inbox.size > self._inbox_limit:
            return False
        inboxes: list[Inbox] = [it.inbox for it in self.connection.streams.values()]
        return sum(it.size for it in inboxes) <= self._held_limit

    def fail(self, stream: Stream, error: TtrpcError) -> None:
        """End a stream from this side."""
        if not stream.is_closed:
            self.connection.abandon_stream(stream)
            stream.inbox.end(error)
