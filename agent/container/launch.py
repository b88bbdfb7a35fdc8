# SPDX-License-Identifier: Apache-2.0
"""Start a process with its standard streams, for create and exec alike."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from kata_agent.child import Child
from kata_agent.container.console_socket import ConsoleSocket
from kata_agent.container.pipes import open_pipes
from kata_agent.container.stdio import Stdio, terminal_stdio
from kata_agent.drain import Drain
from kata_agent.linux.terminal import set_terminal_owner
from kata_agent.runtime.standard_files import StandardFiles

log = logging.getLogger(__name__)

Start = Callable[[StandardFiles], Awaitable[Child]]
"""Starts a process with the given files: the runtime's create or exec."""


KEPT: Final = 1 << 20
"""Bytes of each output that are kept until a client can read them."""


async def launch_on_pipes(
    start: Start, *, pipe_size: int = 0, runs: bool
) -> tuple[Child, Stdio]:
    """Start a process on three pipes. A failure leaves no descriptor open.

    The pipes are the runtime's too, and are drained until the runtime has ended: no
    client can read them yet, and a runtime that waits for a reader would never end. If
    the process `runs` its program at once, what comes is kept for the clients; before
    the start of a container it is the runtime's own, and dropped.
    """
    pipes = open_pipes(pipe_size)
    limit = KEPT if runs else 0
    drains: list[Drain] = []
    try:
        for reader in pipes.readers:
            drains.append(Drain(reader, limit, keeps_all=runs))
        child = await start(
            StandardFiles(pipes.stdin, pipes.stdout, pipes.stderr, console=None)
        )
        written = [drain.stop() for drain in drains]
    except BaseException:
        for drain in drains:
            drain.stop()
        pipes.stdio.close()
        raise
    finally:
        pipes.close_process_ends()
    if runs:
        for output, data in zip(pipes.stdio.outputs, written, strict=True):
            output.put_back(data)
    return child, pipes.stdio


async def launch_on_terminal(
    start: Start, *, sockets: Path, owner: int | None = None
) -> tuple[Child, Stdio]:
    """Start a process on a terminal, whose master arrives over a socket in `sockets`.

    The terminal is given to the user `owner`, if there is one. A failure leaves no
    descriptor and no socket.
    """
    child = None
    with ConsoleSocket(sockets) as console:
        arrival = asyncio.create_task(console.receive())
        try:
            child = await start(StandardFiles(console=console.path))
            master = await arrival
            if owner is not None:
                _give_to(owner, master)
            return child, terminal_stdio(master)
        except BaseException:
            if child is not None:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(signal.SIGKILL)
            arrival.cancel()
            arrival.add_done_callback(_close_received)
            raise


@contextlib.contextmanager
def killed_on_failure(child: Child) -> Iterator[None]:
    """Kill a process if the block fails, or if its caller leaves."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGKILL)
        raise


def _give_to(owner: int, master: int) -> None:
    try:
        set_terminal_owner(master, owner)
    except OSError as error:
        # The process has ended, for example.
        log.warning("terminal not given to its user", extra={"error": str(error)})


def _close_received(arrival: asyncio.Task[int]) -> None:
    if not arrival.cancelled() and arrival.exception() is None:
        os.close(arrival.result())
