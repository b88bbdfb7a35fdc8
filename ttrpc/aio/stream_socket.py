# SPDX-License-Identifier: Apache-2.0
"""A byte stream with the methods of a nonblocking socket, for `transport.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ttrpc.aio.byte_sender import BUFFER_SIZE, ByteSender

if TYPE_CHECKING:
    from ttrpc.aio.byte_stream import ByteStream
    from ttrpc.frame import Payload


class StreamSocket:
    """Has the methods of a socket, and of the loop for this socket, that are used.

    As with a socket, callbacks are called while there is something to receive, or room
    to send.
    """

    def __init__(self, stream: ByteStream) -> None:
        """Start to receive; the stream is owned from now on."""
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._received = memoryview(b"")
        self._has_ended = False
        self._error: OSError | None = None
        """The error of `receive`."""
        self._wanted: asyncio.Future[None] | None = None
        """What the receiving task waits for before it receives more."""
        self._on_readable: Callable[[], object] | None = None
        self._on_writable: Callable[[], None] | None = None
        self._sender = ByteSender(
            stream.send, sent=self._after_send, finished=self._end_stream
        )
        self._receiving = self._loop.create_task(self._receive())

    # The socket.

    def fileno(self) -> int:
        return -1

    def recv(self, size: int) -> bytes:
        if not self._received:
            return self._end()
        data = bytes(self._received[:size])
        self._took(len(data))
        return data

    def recv_into(self, buffer: memoryview) -> int:
        if not self._received:
            return len(self._end())
        size = min(len(buffer), len(self._received))
        buffer[:size] = self._received[:size]
        self._took(size)
        return size

    def send(self, data: Payload) -> int:
        sender = self._sender
        if sender.error is not None:
            raise _os_error(sender.error) from sender.error
        room = BUFFER_SIZE - sender.size
        if room <= 0:
            raise BlockingIOError
        taken = bytes(memoryview(data)[:room])
        sender.put(taken)
        return len(taken)

    def sendmsg(self, chunks: Sequence[Payload]) -> int:
        return self.send(chunks[0])

    def close(self) -> None:
        self._on_readable = self._on_writable = None
        self._receiving.cancel()
        self._sender.close()

    # The loop.

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self._on_readable = callback
        self._notify_reader()

    def remove_reader(self, fd: int) -> None:
        self._on_readable = None

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        self._on_writable = callback
        if self._sender.size < BUFFER_SIZE:
            self._loop.call_soon(self._notify_writer)

    def remove_writer(self, fd: int) -> None:
        self._on_writable = None

    # Between the two.

    async def _receive(self) -> None:
        try:
            while data := await self._stream.receive():
                self._received = memoryview(data)
                self._wanted = self._loop.create_future()
                self._notify_reader()
                await self._wanted
            self._has_ended = True
        except Exception as exc:
            self._error = _os_error(exc)
        except BaseException as exc:
            if not self._loop.is_closed():  # Else Python closes the coroutine.
                cause = type(exc).__name__
                self._error = ConnectionAbortedError(f"receiving ended by {cause}")
            raise
        finally:
            self._notify_reader()

    def _end(self) -> bytes:
        """Return the end of the stream, if there is one. Raises as `recv` does."""
        if self._error is not None:
            raise self._error
        if not self._has_ended:
            raise BlockingIOError
        return b""

    def _took(self, size: int) -> None:
        self._received = self._received[size:]
        if not self._received and self._wanted is not None:
            self._wanted.set_result(None)
            self._wanted = None

    def _notify_reader(self) -> None:
        if self._received or self._has_ended or self._error is not None:
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        """Call the reader by the loop, and again as long as it leaves something."""
        if self._on_readable is not None:
            self._on_readable()
            if self._received:
                self._notify_reader()

    def _end_stream(self) -> None:
        """Close the stream when no call of it is under way any more."""
        self._receiving.add_done_callback(lambda _: self._stream.close())

    def _after_send(self) -> None:
        error = self._sender.error
        self._notify_writer()
        if error is not None and self._error is None:
            # Whoever does not send now is told too, as by a socket that was reset.
            self._error = _os_error(error)
            self._notify_reader()

    def _notify_writer(self) -> None:
        if self._on_writable is not None:
            self._on_writable()


def _os_error(exc: Exception) -> OSError:
    """Return an error as a socket raises it, with the text of the stream's."""
    if isinstance(exc, OSError):
        return exc
    error = OSError(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
    error.__cause__ = exc
    return error
