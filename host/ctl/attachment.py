# SPDX-License-Identifier: Apache-2.0
"""Make a process in a guest look like a child of this one.

Our standard streams are the process's, signals to us are passed on to the process, its
terminal has the size of ours, and its exit status is returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from kata_host.client.container_process import ContainerProcess, process_may_have_ended
from kata_host.ctl import terminal
from kata_host.ctl.detach_keys import DetachKeys
from kata_host.ctl.host_stream import STDERR, STDIN, STDOUT, HostStream, write_chunks
from kata_host.stream_error import READER_GONE, ReaderGone, StreamError

PASSED_ON: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""Signals that are passed on to the process. The signals of job control are not."""


class Detached(Exception):
    """The user has left the process, which goes on."""


async def attach(
    process: ContainerProcess,
    kill: Callable[[], Awaitable[None]],
    *,
    stdin: bool,
    tty: bool,
    can_detach: bool = False,
    output: Awaitable[None] | None = None,
    wait: Callable[[], Awaitable[int]] | None = None,
) -> int:
    """Stay with a started process until it has ended; return its exit status.

    With `stdin` our standard input is passed on; with `tty` the process has a terminal,
    and only one output. A second SIGINT calls `kill`, because a process may ignore the
    first: PID 1 of a container does, unless it handles the signal.

    `output` writes the output to our standard streams, and `wait` returns the status,
    in place of the agent. Raises `Detached` at Ctrl-P Ctrl-Q on a terminal, if the
    process `can_detach` from us.
    """
    detached = asyncio.Event()
    on_terminal = os.isatty(STDIN)
    async with contextlib.AsyncExitStack() as stack:
        if tty and stdin and on_terminal:
            stack.enter_context(terminal.raw(STDIN))
        await stack.enter_async_context(_signals_passed_on(process, kill, tty=tty))
        if stdin:
            keys = DetachKeys() if can_detach and tty and on_terminal else None
            feeding = _feed(process, keys, detached)
            await stack.enter_async_context(_in_background(feeding))
        elif not tty and output is None:
            await process.close_stdin()
        copying = _write_output(process, tty=tty) if output is None else output
        refusal = await _unless_detached(_refusal_of(copying), detached)
        if refusal is None:
            return await (wait or process.wait)()
        if output is None:
            # Nobody has the rest of the output.
            with process_may_have_ended():
                await kill()
        if not isinstance(refusal, ReaderGone):
            raise refusal
        return READER_GONE


async def _write_output(process: ContainerProcess, *, tty: bool) -> None:
    """Write the output to its end. Raises a group of `StreamError`."""
    async with asyncio.TaskGroup() as group:
        group.create_task(write_chunks(process.read_stdout(), STDOUT))
        if not tty:
            group.create_task(write_chunks(process.read_stderr(), STDERR))


async def _refusal_of(writing: Awaitable[None]) -> BaseException | None:
    """Wait for the end of the output; return why, if not all could be written."""
    refusal: BaseException | None = None
    try:
        await writing
    except* StreamError as refused:
        refusal = refused.exceptions[0]
    return refusal


async def _unless_detached(
    copying: Coroutine[Any, Any, BaseException | None], detached: asyncio.Event
) -> BaseException | None:
    """Wait for the end of the output. Raises `Detached` if the user leaves first."""
    task = asyncio.ensure_future(copying)
    leaving = asyncio.ensure_future(detached.wait())
    both: set[asyncio.Future[Any]] = {task, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Detached
        return task.result()
    finally:
        for each in both:
            each.cancel()
        await asyncio.wait(both)


async def _feed(
    process: ContainerProcess, keys: DetachKeys | None, detached: asyncio.Event
) -> None:
    """Pass our standard input on until our input or the process ends.

    Sets `detached` when the user leaves by `keys`.
    """
    with contextlib.closing(HostStream(STDIN, writing=False)) as source:
        with process_may_have_ended():
            try:
                async for data in source:
                    await process.write_stdin(keys.take(data) if keys else data)
                    if keys is not None and keys.are_complete:
                        detached.set()
                        return
            except StreamError:
                # The process must not wait for more; the error is told at its end.
                await process.close_stdin()
                raise
            await process.close_stdin()


@contextlib.asynccontextmanager
async def _signals_passed_on(
    process: ContainerProcess, kill: Callable[[], Awaitable[None]], *, tty: bool
) -> AsyncIterator[None]:
    """Pass signals on to the process during the block, and the terminal's size."""
    received: asyncio.Queue[signal.Signals] = asyncio.Queue()

    async def pass_on() -> None:
        interrupted = False
        while True:
            number = await received.get()
            with process_may_have_ended():
                if number == signal.SIGWINCH:
                    if (size := terminal.size(STDIN)) is not None:
                        await process.resize(*size)
                elif number == signal.SIGINT and interrupted:
                    await kill()
                else:
                    await process.signal(number)
            interrupted = interrupted or number == signal.SIGINT

    follows_size = tty and terminal.size(STDIN) is not None
    if follows_size:
        received.put_nowait(signal.SIGWINCH)
    numbers = (*PASSED_ON, signal.SIGWINCH) if follows_size else PASSED_ON
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            loop.add_signal_handler(number, received.put_nowait, number)
        async with _in_background(pass_on()):
            yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@contextlib.asynccontextmanager
async def _in_background(work: Awaitable[None]) -> AsyncIterator[None]:
    """Do `work` beside the block, and cancel it at the end of the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            # Retrieved, so that asyncio does not log it beside the block's own error.
            task.exception()
