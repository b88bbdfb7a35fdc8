# SPDX-License-Identifier: Apache-2.0
"""One connected socket on the event loop: receives frames, writes the outbox.

The loop's reader and writer callbacks work on the socket itself. (A byte stream that is
no socket has these methods too: `stream_socket.py`.) One receive may bring
many frames, whose answers leave in one write (`cork.py`). A server stops reading while
the peer leaves too many of its answers unread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ttrpc.aio.cork import FLUSH_SIZE, Cork
from ttrpc.aio.socket_events import SocketEvents, calls_again
from ttrpc.errors import Closed
from ttrpc.frame import MESSAGE_LIMIT, ReceivedFrame
from ttrpc.frame_decoder import FrameDecoder
from ttrpc.outbox import Outbox
from ttrpc.share import Share
from ttrpc.stream import Stream

if TYPE_CHECKING:
    from ttrpc.aio.stream_socket import StreamSocket

RECEIVE_SIZE: Final = 64 << 10
JOIN_LIMIT: Final = 128 << 10
"""Bytes up to which joining the chunks beats a scatter-gather write."""
IOV_MAX: Final = 1024
"""Chunks in one scatter-gather write, at most (man 2 writev)."""
READING_PART: Final = 4
"""Reading stops when the outbox has more than its share divided by this."""
SENDING_PART: Final = 8
"""Streams wait before sending when it has more than its share divided by this: less,
so that streams alone never stop the reading."""
BATCH: Final = 32
"""Frames after which their answers are written, so that the peer deals with these
while this side goes on with the next frames."""


class Transport:
    """Owns a connected, nonblocking socket until it is closed."""

    __slots__ = (
        "_backlog",
        "_decoder",
        "_ended",
        "_events",
        "_holds_back",
        "_loop",
        "_lost",
        "_outbox",
        "_receive_frame",
        "_room",
        "_sock",
        "_unread",
        "_waiting",
        "closed",
        "cork",
        "frames",
        "on_empty",
        "received",
        "sent",
    )

    def __init__(
        self,
        sock: socket.socket | StreamSocket,
        *,
        outbox: Outbox,
        receive_frame: Callable[[ReceivedFrame], None],
        lost: Callable[[Closed], None],
        unread: Share,
        held: Share | None = None,
        message_limit: int = MESSAGE_LIMIT,
        holds_back: bool = False,
    ) -> None:
        """Start reading.

        Args:
            lost: Called once when the connection has ended, with the cause.
            unread: Bounds the bytes of the outbox that the peer leaves unread.
            held: Bounds the bytes of a large frame that has not arrived whole.
            message_limit: Bytes of payload in a received frame.
            holds_back: Stop reading while the peer leaves too much unread. For servers
                only, because two sides that hold back wait for each other.
        """
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._events = _events_of(sock, self._loop)
        self._decoder = FrameDecoder(message_limit, share=held)
        self._outbox = outbox
        self._receive_frame = receive_frame
        self._lost = lost
        self._unread = unread
        self._room = FLUSH_SIZE
        """Bytes in the outbox up to which `is_full` need not look at the share."""
        self._holds_back = holds_back
        self._backlog: Iterator[ReceivedFrame] | None = None
        """Received frames that wait until reading goes on; None while it does."""
        self.cork = Cork(outbox, self._write)
        self._waiting: dict[asyncio.Future[None], None] = {}
        """What the tasks in `drain` wait for, in their order."""
        self._ended: asyncio.Future[None] | None = None
        """What `wait_closed` waits for; made on first use."""
        self.received = self.sent = 0
        """Bytes so far."""
        self.frames = 0
        """Frames that were received so far."""
        self.closed: Closed | None = None
        """The cause of the connection's end; None while it is open."""
        self.on_empty: Callable[[], None] | None = None
        """Called when a full socket has taken the rest of the outbox."""
        self._events.add_reader(sock.fileno(), self._on_readable)

    # Reading.

    def _on_readable(self) -> bool:
        """Receive once. Returns whether there was anything."""
        try:
            buffer = self._decoder.large_buffer
            if buffer is None:
                data = self._sock.recv(RECEIVE_SIZE)
                size = len(data)
            else:
                size = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as exc:
            self.close(f"receive failed: {exc}")
            return False
        self.received += size
        if not size:
            self.close("closed by the peer")
            return False
        decoder = self._decoder
        frames = decoder.receive(data) if buffer is None else decoder.fill(size)
        self.frames += len(frames)
        self._receive_frames(frames)
        return True

    @property
    def is_within_frame(self) -> bool:
        """Whether the peer has sent a part of a frame that it does not go on with.

        Not while this side does not read.
        """
        return self._backlog is None and not self._decoder.is_idle

    def _receive_frames(self, frames: Iterable[ReceivedFrame]) -> None:
        cork = self.cork
        outbox = self._outbox
        receive_frame = self._receive_frame
        rest = iter(frames)
        count = 0
        cork.put_in()
        try:
            for frame in rest:
                receive_frame(frame)
                count += 1
                if count >= BATCH or outbox.size > FLUSH_SIZE:
                    count = 0
                    cork.end_batch()
                    if self._must_hold_back():
                        # Frames that have been received already wait too: a few small
                        # requests may ask for any number of large responses.
                        self._pause_reading(rest)
                        break
                if self.closed is not None:
                    break
            cork.end_batch()
        except BaseException:
            cork.pull_out()
            # The frames behind this one are lost, so no call may wait for them.
            self.close("failed on this side")
            raise
        cork.pull_out()

    def _must_hold_back(self) -> bool:
        return self._holds_back and self.cork.is_blocked and self._is_over(READING_PART)

    def _pause_reading(self, rest: Iterator[ReceivedFrame]) -> None:
        self._backlog = rest
        self._events.remove_reader(self._sock.fileno())

    def _resume_reading(self) -> None:
        assert self._backlog is not None
        rest = self._backlog
        self._backlog = None
        self._events.add_reader(self._sock.fileno(), self._on_readable)
        self._receive_frames(rest)

    # Writing.

    async def drain(self, stream: Stream | None = None) -> None:
        """Wait until the peer has taken most of the outbox, or `stream` has ended.

        Raises:
            Closed: the connection has ended.
        """
        while self.is_full and not (stream is not None and stream.is_closed):
            if not self.cork.is_blocked:
                self._write()
                continue
            room = self._loop.create_future()
            self._waiting[room] = None
            try:
                await room
            finally:
                self._waiting.pop(room, None)
        if self.closed is not None:
            raise Closed(str(self.closed))

    def wake(self) -> None:
        """Make the tasks in `drain` check their condition again."""
        for room in self._waiting:
            if not room.done():
                room.set_result(None)
        # Each of these tasks may end a stream, and call this again.
        self._waiting.clear()

    def _wake_first(self) -> None:
        """Make the task go on that has waited longest."""
        for room in self._waiting:
            if not room.done():
                room.set_result(None)
                break

    @property
    def is_flushed(self) -> bool:
        """Whether the outbox is empty, after an attempt to write it."""
        self._write()
        return not self._outbox.size

    @property
    def is_full(self) -> bool:
        """Whether a stream or a client has to `drain` before it sends."""
        size = self._outbox.size
        if size <= self._room:
            return False
        if self._is_over(SENDING_PART):
            return True
        self._room = size + FLUSH_SIZE
        return False

    def has_room_for(self, size: int) -> bool:
        """Tell whether there is room for `size` bytes of an answer.

        A small one needs no room of the other connections': the peer may be about to
        read. The large answers of many peers that read nothing would have no bound.
        """
        if size > FLUSH_SIZE and size > self._unread.free:
            return False
        return self._outbox.size <= FLUSH_SIZE or not self._is_over(1)

    def _is_over(self, part: int) -> bool:
        """Tell whether the outbox has more than its allowance divided by `part`."""
        if self.closed is not None:
            # Frames that are put in now are dropped, and must not be counted.
            return False
        size = self._outbox.size
        self._unread.resize(size)
        return size > self._unread.allowed // part

    def _write(self) -> None:
        if self.cork.is_blocked or self.closed is not None:
            return
        try:
            self._write_chunks()
        except (BlockingIOError, InterruptedError):
            self.cork.is_blocked = True
            self._unread.resize(self._outbox.size)
            self._events.add_writer(self._sock.fileno(), self._on_writable)
        except OSError as exc:
            self.close(f"send failed: {exc}")
        else:
            if self._unread.size:
                self._room = FLUSH_SIZE
                self._unread.resize(0)

    def _on_writable(self) -> None:
        try:
            self._write_chunks()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            self.close(f"send failed: {exc}")
            return
        if not self._outbox.chunks:
            self.cork.is_blocked = False
            self._events.remove_writer(self._sock.fileno())
        self._room = FLUSH_SIZE
        self._unread.resize(self._outbox.size)
        if not self.is_full:
            if self._outbox.size:
                # Its message may fill the outbox, so the others need not look yet.
                self._wake_first()
            else:
                self.wake()
            if self._backlog is not None:
                self._resume_reading()
        if self.on_empty is not None and not self._outbox.size:
            self.on_empty()

    def _write_chunks(self) -> None:
        """Write until the outbox is empty. Raises the socket's errors."""
        outbox = self._outbox
        chunks = outbox.chunks
        while chunks:
            if len(chunks) > 1:
                if outbox.size <= JOIN_LIMIT:
                    chunks[:] = [b"".join(chunks)]
                else:
                    self._written(self._sock.sendmsg(chunks[:IOV_MAX]))
                    continue
            self._written(self._sock.send(chunks[0]))

    def _written(self, size: int) -> None:
        outbox = self._outbox
        outbox.size -= size
        self.sent += size
        chunks = outbox.chunks
        done = 0
        for chunk in chunks:
            if size < len(chunk):
                break
            size -= len(chunk)
            done += 1
        if size:
            chunks[done] = memoryview(chunks[done])[size:]
        del chunks[:done]

    # The end.

    def close(self, reason: str) -> None:
        """End the connection now and drop the bytes that have not been written."""
        if self.closed is not None:
            return
        self.closed = Closed(f"connection: {reason}")
        fd = self._sock.fileno()
        self._events.remove_reader(fd)
        self._events.remove_writer(fd)
        self._sock.close()
        self._backlog = None
        self._decoder.release()
        self._outbox.chunks.clear()
        self._outbox.size = 0
        self._unread.resize(0)
        self.wake()
        if self._ended is not None:
            self._ended.set_result(None)
        self._lost(self.closed)

    async def wait_closed(self) -> Closed:
        """Wait until the connection has ended. Returns the cause."""
        while self.closed is None:
            if self._ended is None:
                self._ended = self._loop.create_future()
            # Others may wait for the same future: it is not cancelled with one task.
            await asyncio.shield(self._ended)
        return self.closed


def _events_of(
    sock: socket.socket | StreamSocket, loop: asyncio.AbstractEventLoop
) -> asyncio.AbstractEventLoop | SocketEvents | StreamSocket:
    """Return what calls back when the socket is ready."""
    if not isinstance(sock, socket.socket):
        return sock
    return loop if calls_again(loop) else SocketEvents(loop)
