# SPDX-License-Identifier: Apache-2.0
"""The one thread that runs an event loop for callers that have none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread that starts with the first call.

    A process that was forked has no thread of its parent, and starts its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` in the loop, and return its result to this thread.

        A caller that is interrupted, by Ctrl-C for example, has the work cancelled, and
        goes on when that has released what it holds; a second interruption does not
        wait. Raises `RuntimeError` in the loop's own thread.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("kata_host.sync: called in its own event loop")
        task = _Task(work, contextvars.copy_context())
        loop.call_soon_threadsafe(task.start)
        try:
            return task.done.result()
        except BaseException:
            if task.done.done():
                raise
            loop.call_soon_threadsafe(task.cancel)
            concurrent.futures.wait([task.done])
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if (
                self._loop is None
                or self._thread is None
                or not self._thread.is_alive()
            ):
                loop = self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=loop.run_forever, name="kata_host.sync", daemon=True
                )
                self._thread.start()
            return self._loop


class _Task(Generic[T]):
    """Work that one thread asks for and the loop's does."""

    def __init__(
        self, work: Coroutine[Any, Any, T], context: contextvars.Context
    ) -> None:
        self.done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._work = work
        # The caller's context holds its current span, the parent of the calls' spans.
        self._context = context
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._work, context=self._context)
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.done.set_exception(concurrent.futures.CancelledError())
        elif (error := task.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(task.result())


LOOP: Final = LoopThread()
"""That of this program."""
