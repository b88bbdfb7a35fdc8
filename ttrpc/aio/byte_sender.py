# SPDX-License-Identifier: Apache-2.0
"""Sends bytes by a coroutine, for callers that do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

BUFFER_SIZE: Final = 64 << 10
"""Bytes that wait to be sent, from which no more should be put in."""
LINGER: Final = 1.0
"""Seconds that the last bytes may take to be sent."""


class ByteSender:
    """Passes what is put in to a function, one call at a time and in order.

    Its task runs only while there are bytes.
    """

    __slots__ = (
        "_chunks",
        "_finished",
        "_is_closed",
        "_loop",
        "_send",
        "_sent",
        "_task",
        "error",
        "size",
    )

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        sent: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        """Set up, with nothing to send.

        Args:
            send: Sends bytes, and returns when there is room for more.
            sent: Called by the event loop after each of these calls.
            finished: Called once after `close`.
        """
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._sent = sent
        self._finished = finished
        self._chunks: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self.size = 0
        """Bytes that were put in and have not been sent."""
        self.error: Exception | None = None
        """The error of `send`, after which nothing is sent."""

    def put(self, data: bytes) -> None:
        """Send these bytes after those before."""
        self._chunks.append(data)
        self.size += len(data)
        self._start()

    def close(self) -> None:
        """Send what is left, for up to LINGER seconds, and finish."""
        self._is_closed = True
        if self._task is None:
            self._finished()
        else:
            self._loop.call_later(LINGER, self._task.cancel)

    def _start(self) -> None:
        if self._task is None and self._chunks and self.error is None:
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        try:
            while self._chunks:
                data = b"".join(self._chunks)
                self._chunks.clear()
                await self._send(data)
                self.size -= len(data)
                self._loop.call_soon(self._sent)
        except Exception as exc:
            self.error = exc
            self._loop.call_soon(self._sent)
        except BaseException as exc:
            if not self._loop.is_closed():  # Else Python closes the coroutine.
                # No one knows how much was sent, so nothing may follow.
                cause = type(exc).__name__
                self.error = ConnectionAbortedError(f"sending ended by {cause}")
                self._loop.call_soon(self._sent)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        # More may have been put in since the task looked last.
        self._start()
        if self._is_closed and self._task is None:
            self._finished()
