# SPDX-License-Identifier: Apache-2.0
"""The one way from the event loop to a system call that may block.

A dead mount or a slow disk may hold such a call for ever. Each call therefore gets a
thread of its own instead of one of a small shared pool: a call that hangs costs one
thread, and does not delay the next caller.
"""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import errno
import os
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from kata_agent.thread_priority import prefer_thread

P = ParamSpec("P")
T = TypeVar("T")


async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a thread, and return or raise its result.

    A cancelled caller abandons the thread, whose result is dropped. Raises `OSError`
    (EAGAIN) also if there is no place for one more thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    call = partial(function, *args, **kwargs)
    # Spans that begin in the thread are children of the caller's span.
    start_thread(contextvars.copy_context().run, _run, call, loop, future)
    try:
        return await future
    finally:
        # An error has this frame, which would have the error by its future: all the
        # objects of these frames would stay until the next garbage collection.
        del future


def _run(
    call: Callable[[], T], loop: asyncio.AbstractEventLoop, future: asyncio.Future[T]
) -> None:
    result: T | None = None
    error: BaseException | None = None
    prefer_thread()
    try:
        result = call()
    except BaseException as exc:
        error = exc
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        # The loop was closed while the call hung, so no caller waits any more.
        return
    finally:
        del error, future


def _settle(
    future: asyncio.Future[T], result: T | None, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]  # T may be None


def start_thread(function: Callable[..., object], *args: object) -> None:
    """Call `function` in a new thread.

    Not `threading.Thread`: its start waits until the new thread runs, which holds the
    loop on a busy machine. Raises `OSError`, as clone does (man 2 clone), if the guest
    has no place for one more thread.
    """
    try:
        _thread.start_new_thread(function, args)
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error


async def uninterrupted(
    function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Do the same for a call that leaves something behind, a file for example.

    A cancelled caller waits for the thread all the same.
    """
    work = asyncio.ensure_future(blocking(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        work.exception()
        raise
