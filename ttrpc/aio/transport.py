# SPDX-License-Identifier: Apache-2.0
"""One connected socket on the event loop: frames in, the outbox out.

The loop's reader and writer callbacks work on the socket itself. One receive may
bring many frames; what they make this side send leaves in one write when all of
them have been dealt with. A server reads nothing while the peer leaves too much unread.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator

from ttrpc.decoder import FrameDecoder
from ttrpc.errors import Closed
from ttrpc.frame import MESSAGE_LIMIT, RawFrame
from ttrpc.outbox import Outbox
from ttrpc.quota import Share
from ttrpc.stream import Stream

RECEIVE_SIZE = 64 << 10
FLUSH_SIZE = 64 << 10
"""Bytes from which the outbox is written at once, so that the peer can begin with
the first answers while the last ones are being made."""
JOIN_LIMIT = 128 << 10
"""Bytes up to which joining the chunks beats a scatter-gather write."""
IOV_MAX = 1024
READING_PART = 4
"""Reading stops when the outbox has a quarter of what it may have,"""
SENDING_PART = 8
"""and streams wait from an eighth on: they alone never stop the reading."""
BATCH = 32
"""Frames after which what they made this side send is written: while the peer
deals with that, this side goes on with the others."""

ReceiveFrame = Callable[[int, int, int, "bytes | memoryview"], None]


class Transport:
    """Owns a connected, nonblocking socket until it is closed."""

    __slots__ = (
        "_after_frames",
        "_backlog",
        "_corked",
        "_decoder",
        "_drained",
        "_flush_scheduled",
        "_flush_wanted",
        "_holds_back",
        "_loop",
        "_lost",
        "_outbox",
        "_receive_frame",
        "_room",
        "_sock",
        "_unread",
        "_writing",
        "closed",
        "on_empty",
    )

    def __init__(
        self,
        sock: socket.socket,
        *,
        outbox: Outbox,
        receive_frame: ReceiveFrame,
        lost: Callable[[Closed], None],
        unread: Share,
        message_limit: int = MESSAGE_LIMIT,
        holds_back: bool = False,
    ) -> None:
        """Start reading.

        `lost` is called once, when the connection has ended for whatever reason,
        with an error that names it. `unread` says how much of the outbox the peer
        may leave. With `holds_back`, nothing is read while it leaves too much: for
        servers only, because two sides that hold back wait for each other.
        """
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._decoder = FrameDecoder(message_limit)
        self._outbox = outbox
        self._receive_frame = receive_frame
        self._lost = lost
        self._unread = unread
        self._room = FLUSH_SIZE
        """Bytes up to which nobody asks whether streams should wait."""
        self._holds_back = holds_back
        self._backlog: Iterator[RawFrame] | None = None
        self._corked = False
        self._after_frames: list[Callable[[], None]] = []
        self._writing = False
        self._flush_wanted = False
        self._flush_scheduled = False
        self._drained: asyncio.Future[None] | None = None
        self.closed: Closed | None = None
        """Why the connection has ended; None while it has not."""
        self.on_empty: Callable[[], None] | None = None
        """Called when the outbox has been written after having been blocked."""
        self._loop.add_reader(sock.fileno(), self._on_readable)

    # Reading.

    def _on_readable(self) -> None:
        try:
            buffer = self._decoder.large_buffer
            if buffer is None:
                data = self._sock.recv(RECEIVE_SIZE)
                size = len(data)
            else:
                size = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self.close(f"receive failed: {exc}")
            return
        if not size:
            self.close("the peer closed it")
        elif buffer is None:
            self._receive_frames(self._decoder.receive(data))
        else:
            self._receive_frames(self._decoder.fill(size))

    def _receive_frames(self, frames: Iterable[RawFrame]) -> None:
        outbox = self._outbox
        receive_frame = self._receive_frame
        rest = iter(frames)
        count = 0
        self._corked = True
        try:
            for stream_id, type, flags, payload in rest:
                receive_frame(stream_id, type, flags, payload)
                count += 1
                if count >= BATCH or outbox.size > FLUSH_SIZE:
                    count = 0
                    self._end_batch()
                    if self._must_hold_back():
                        # What has been received already waits too: a few small
                        # requests may ask for any number of large responses.
                        self._pause_reading(rest)
                        break
                if self.closed is not None:
                    break
            self._end_batch()
        except BaseException:
            # The frames behind it are lost, so nobody may go on waiting for them.
            self._corked = False
            for callback in self._after_frames:
                self._loop.call_soon(callback)
            self._after_frames.clear()
            self.close("it failed on this side")
            raise
        finally:
            self._corked = False
            # The write may have failed, and that concerns somebody too.
            for callback in self._after_frames:
                self._loop.call_soon(callback)
            self._after_frames = []
        if self._flush_wanted:
            self._flush_wanted = False
            self.flush_soon()

    def _end_batch(self) -> None:
        """Let those go on whom the frames concern, and write what came of it all."""
        while self._after_frames:
            callbacks, self._after_frames = self._after_frames, []
            for callback in callbacks:
                callback()
        if self._outbox.size:
            self._write()

    def after_frames(self, callback: Callable[[], None]) -> None:
        """Call it when the frames that have come have been dealt with.

        What it sends leaves with the answers to those frames. It is called by the
        event loop, never out of a task.
        """
        if self._corked:
            self._after_frames.append(callback)
        else:
            self._loop.call_soon(callback)

    def _must_hold_back(self) -> bool:
        return self._holds_back and self._writing and self._is_over(READING_PART)

    def _pause_reading(self, rest: Iterator[RawFrame]) -> None:
        self._backlog = rest
        self._loop.remove_reader(self._sock.fileno())

    def _resume_reading(self) -> None:
        assert self._backlog is not None
        rest = self._backlog
        self._backlog = None
        self._loop.add_reader(self._sock.fileno(), self._on_readable)
        self._receive_frames(rest)

    # Writing.

    def flush(self) -> None:
        """Write the outbox now, unless frames are being dealt with."""
        if not self._corked:
            self._write()

    def flush_after_tasks(self) -> None:
        """Write the outbox when the tasks have begun that the frames make start.

        Each would have to ask for a write of its own, one turn of the loop later.
        """
        self._flush_wanted = True

    def flush_soon(self) -> None:
        """Write the outbox when the loop has come round, with all it holds then."""
        if self._outbox.size > FLUSH_SIZE:
            self._write()
        elif not (self._corked or self._writing or self._flush_scheduled):
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_scheduled_now)

    def _flush_scheduled_now(self) -> None:
        self._flush_scheduled = False
        self._write()

    async def drain(self, stream: Stream) -> None:
        """Wait until the peer has taken most of the outbox, or `stream` has ended.

        Raises:
            Closed: the connection has ended.
        """
        while self.is_full and not stream.is_closed:
            if not self._writing:
                self._write()
                continue
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)
        if self.closed is not None:
            raise Closed(str(self.closed))

    def wake(self) -> None:
        """Have those in `drain` look again at what they wait for."""
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    @property
    def is_flushed(self) -> bool:
        """Whether all that was sent has left; tries to write it."""
        self._write()
        return not self._outbox.size

    @property
    def is_full(self) -> bool:
        """Whether a stream should `drain` before it sends."""
        size = self._outbox.size
        if size <= self._room:
            return False
        if self._is_over(SENDING_PART):
            return True
        self._room = size + FLUSH_SIZE
        return False

    @property
    def is_overfull(self) -> bool:
        """Whether there is no room for an answer either."""
        return self._outbox.size > FLUSH_SIZE and self._is_over(1)

    def _is_over(self, part: int) -> bool:
        """Tell whether the outbox has more than that part of what it may have."""
        size = self._outbox.size
        self._unread.resize(size)
        return size > self._unread.allowed // part

    def _write(self) -> None:
        if self._writing or self.closed is not None:
            return
        try:
            self._write_chunks()
        except (BlockingIOError, InterruptedError):
            self._writing = True
            self._loop.add_writer(self._sock.fileno(), self._on_writable)
        except OSError as exc:
            self.close(f"send failed: {exc}")

    def _on_writable(self) -> None:
        try:
            self._write_chunks()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            self.close(f"send failed: {exc}")
            return
        if not self._outbox.chunks:
            self._writing = False
            self._loop.remove_writer(self._sock.fileno())
        self._room = FLUSH_SIZE
        self._unread.resize(self._outbox.size)
        if not self.is_full:
            self.wake()
            if self._backlog is not None:
                self._resume_reading()
        if self.on_empty is not None and not self._outbox.size:
            self.on_empty()

    def _write_chunks(self) -> None:
        """Write until the outbox is empty. Raises what the socket raises."""
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
        """End the connection now; what has not been written is dropped."""
        if self.closed is not None:
            return
        self.closed = Closed(f"connection: {reason}")
        fd = self._sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._sock.close()
        self._backlog = None
        self._outbox.chunks.clear()
        self._outbox.size = 0
        self._unread.resize(0)
        self.wake()
        self._lost(self.closed)
