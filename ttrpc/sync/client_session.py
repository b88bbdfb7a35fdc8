# SPDX-License-Identifier: Apache-2.0
"""The blocking client's work for one connection.

The session receives whenever it waits, also while it waits to write, because a server
that is busy writing to this side need not read until this side does.
"""

from __future__ import annotations

import select
import socket
import time
import weakref
from typing import Any, Final

from ttrpc.client_connection import ClientConnection
from ttrpc.client_record import ClientRecord
from ttrpc.codes import Code
from ttrpc.deadline import Deadline
from ttrpc.errors import Closed, StreamFull, TtrpcError
from ttrpc.frame import Payload
from ttrpc.frame_decoder import FrameDecoder
from ttrpc.keepalive import NO_ANSWER, Keepalive, Step
from ttrpc.limits import Limits
from ttrpc.metadata import Pairs
from ttrpc.service import Method
from ttrpc.share import FREE, OVERHEAD
from ttrpc.status import code_of
from ttrpc.stream import Stream
from ttrpc.stream_watcher import end_all
from ttrpc.sync.inbox import Inbox
from ttrpc.sync.thread_guard import ThreadGuard

RECEIVE_SIZE: Final = 64 << 10
LONG_WAIT: Final = 86_400.0
"""Seconds of one wait, at most."""


class ClientSession:
    """One connection and the calls on it, for one thread at a time."""

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        guard: ThreadGuard,
        keepalive: float | None,
        record: ClientRecord,
    ) -> None:
        """Use a connected socket, which the session owns from now on.

        The session's users enter `guard` around each of its methods. `keepalive` is
        the time in seconds within which a dead server is noticed, while one waits.
        Streams, and the end of the connection, are told to `record`.
        """
        self._record = record
        self.guard = guard
        sock.setblocking(False)
        self._sock = sock
        self._poll = select.poll()
        self._decoder = FrameDecoder(limits.message)
        self._answers: dict[int, bytes | Exception] = {}
        """Payload or error of the calls that were answered, by stream id."""
        self._inboxes: dict[int, Inbox] = {}
        """The inboxes of the streams that have not ended, by stream id."""
        self._ended: weakref.WeakSet[Inbox] = weakref.WeakSet()
        """The inboxes of streams that have ended, where messages were unread then. They
        count until their readers take or drop them."""
        self._inbox_limit = limits.stream_inbox
        self._held_limit = limits.held_per_connection
        self.connection = ClientConnection(
            self, limit=limits.message, counts=record.counts
        )
        self._is_midway = False
        """Whether a step is under way that must not end halfway. If an exception like
        KeyboardInterrupt left it True, no one knows which bytes were sent or received,
        or whether anybody waits for the answer of a request: to send bytes again, or to
        lose some, would put the frames behind them out of step."""
        self.received = self.sent = 0
        """Bytes so far."""
        self._keepalive: Keepalive | None = None
        if keepalive is not None:
            self._keepalive = Keepalive(keepalive, now=time.monotonic())
        self.closed: Closed | None = None
        """The cause of the connection's end; None while it is open."""

    def call(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
        deadline: Deadline | None,
    ) -> bytes:
        """Send a unary request and return the payload of its response.

        Raises:
            StatusError: the server answered with this status.
            OversizedMessage: the request or the response is over the limit.
            RemoteProtocolError: the answer is not a Response.
            TimeoutError: the deadline has passed.
            Closed: the connection has ended.
        """
        # Otherwise the requests of calls that were given up would pile up.
        self.flush(deadline)
        self._check_connected()
        self._is_midway = True
        try:
            stream_id = self.connection.start_call(
                method, payload, timeout_nano, metadata
            )
        except Exception:
            self._is_midway = False  # Nothing was sent.
            raise
        try:
            self._is_midway = False
            while stream_id not in self._answers:
                self.turn(deadline)
            answer = self._answers.pop(stream_id)
        except BaseException:
            self.connection.abandon_call(stream_id)
            self._answers.pop(stream_id, None)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open_stream(
        self,
        method: Method[Any, Any],
        payload: bytes,
        timeout_nano: int,
        metadata: Pairs,
        deadline: Deadline | None,
    ) -> tuple[Stream, Inbox]:
        """Send the request that opens a stream. Raises as `call` does."""
        self.flush(deadline)
        self._check_connected()
        self._is_midway = True
        try:
            stream = self.connection.open_stream(
                method, payload, timeout_nano, metadata
            )
            inbox = self._inboxes[stream.stream_id] = Inbox()
        except Exception:
            self._is_midway = False  # Nothing was sent.
            raise
        try:
            self._is_midway = False
            self.flush(deadline)
        except BaseException as exc:
            if not stream.is_closed:
                is_late = isinstance(exc, TimeoutError)
                code = Code.DEADLINE_EXCEEDED if is_late else code_of(exc)
                self.fail(stream, Closed("stream: not opened"), code)
            raise
        return stream, inbox

    def receive(self, inbox: Inbox, deadline: Deadline | None) -> Payload | None:
        """Return a stream's next message, None at its end.

        Raises:
            TimeoutError: the deadline has passed.
            TtrpcError: the error that ended the stream.
        """
        while not inbox and not inbox.ended:
            self.turn(deadline)
        return inbox.take()

    def flush(self, deadline: Deadline | None) -> None:
        """Write the whole outbox. Raises as `turn` does."""
        self.write()
        while self.connection.outbox.chunks:
            self.turn(deadline)

    def turn(self, deadline: Deadline | None) -> None:
        """Wait until the socket is readable, or has room for the outbox; do either.

        Raises:
            TimeoutError: the deadline has passed.
            Closed: the connection has ended.
        """
        self._check_connected()
        self.write()
        self._check_connected()
        writing = bool(self.connection.outbox.chunks)
        events = select.POLLIN | (select.POLLOUT if writing else 0)
        self._poll.register(self._sock, events)
        ready = self._poll.poll(self._wait(deadline) * 1000)
        if ready:
            if ready[0][1] & ~select.POLLOUT:
                self._read()
        elif deadline is not None and deadline.remaining() <= 0:
            raise TimeoutError
        elif self._keepalive is not None:
            self._check_alive(self._keepalive)

    def _wait(self, deadline: Deadline | None) -> float:
        """Return the seconds to wait for the socket.

        Raises TimeoutError if there are none left: a server that sends without a pause
        would always have something to read.
        """
        # poll takes a C int of milliseconds, and a caller's timeout may be longer.
        wait = LONG_WAIT
        if deadline is not None:
            wait = min(wait, deadline.remaining())
            if wait <= 0:
                raise TimeoutError
        if self._keepalive is not None:
            wait = min(wait, self._keepalive.interval)
        return wait

    def _check_alive(self, keepalive: Keepalive) -> None:
        step = keepalive.check(self.received, now=time.monotonic())
        if step is Step.GIVE_UP:
            self.close(NO_ANSWER)
        elif step is Step.PROBE:
            self.connection.send_probe()

    def fail(
        self, stream: Stream, error: TtrpcError, code: Code | int | None = None
    ) -> None:
        """End a stream from this side; harmless if it has ended.

        It is counted under `code`, or that of the error.
        """
        if not stream.is_closed:
            code = code_of(error) if code is None else code
            self.connection.abandon_stream(stream, code)
            self._inboxes.pop(stream.stream_id).end(error)

    def close(self, reason: str) -> None:
        """End the connection; its calls and streams fail with `reason`."""
        if self.closed is not None:
            return
        self.closed = error = Closed(f"connection: {reason}")
        self._sock.close()
        inboxes = list(self._inboxes.values())
        self._inboxes.clear()
        # Before their watchers are told, who may close these streams.
        self.connection.end_all()
        try:
            end_all(inboxes, error)
        finally:
            received, sent = self.received, self.sent
            self._record.connection_ended(error, received=received, sent=sent)

    def close_if_torn(self) -> None:
        """End the connection if an exception came while bytes were moved."""
        if self._is_midway:
            self.close("interrupted while bytes were sent or received")

    def _check_connected(self) -> None:
        self.close_if_torn()
        if self.closed is not None:
            raise Closed(str(self.closed))

    def write(self) -> None:
        """Write as much of the outbox as the socket takes now."""
        if self.closed is not None or self._is_midway:
            return
        outbox = self.connection.outbox
        try:
            while outbox.chunks:
                data = b"".join(outbox.chunks)
                self._is_midway = True
                size = self._sock.send(data)
                self.sent += size
                outbox.size -= size
                outbox.chunks[:] = [memoryview(data)[size:]] if size < len(data) else []
                self._is_midway = False
        except BlockingIOError:
            self._is_midway = False
        except OSError as exc:
            self.close(f"send failed: {exc}")

    def _read(self) -> None:
        buffer = self._decoder.large_buffer
        self._is_midway = True
        try:
            if buffer is None:
                data = self._sock.recv(RECEIVE_SIZE)
                size = len(data)
            else:
                size = self._sock.recv_into(buffer)
        except BlockingIOError:
            self._is_midway = False
            return
        except OSError as exc:
            self.close(f"receive failed: {exc}")
            return
        if not size:
            self.close("closed by the peer")
            return
        self.received += size
        receive, fill = self._decoder.receive, self._decoder.fill
        for frame in receive(data) if buffer is None else fill(size):
            self.connection.receive_frame(frame)
        self._is_midway = False

    # The events of the connection.

    def call_succeeded(self, stream_id: int, payload: bytes) -> None:
        self._answers[stream_id] = payload

    def call_failed(self, stream_id: int, error: Exception) -> None:
        self._answers[stream_id] = error

    def message_received(self, stream: Stream, payload: Payload) -> None:
        inbox = self._inboxes[stream.stream_id]
        size = inbox.size + len(payload) + OVERHEAD
        if size <= min(FREE, self._inbox_limit) or self._has_room(inbox):
            inbox.put(payload)
            return
        error = StreamFull(f"{stream.method.full_method}: its reader is too slow")
        inbox.clear()
        inbox.end(error)
        self.fail(stream, error)

    def stream_ended(self, stream: Stream, error: Exception | None) -> None:
        inbox = self._inboxes.pop(stream.stream_id)
        inbox.end(error)
        if inbox:
            self._ended.add(inbox)

    def _has_room(self, inbox: Inbox) -> bool:
        if inbox and inbox.size > self._inbox_limit:
            return False
        unread = (*self._inboxes.values(), *self._ended)
        return sum(it.size for it in unread) <= self._held_limit
