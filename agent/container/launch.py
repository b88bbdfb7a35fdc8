# SPDX-License-Identifier: Apache-2.0
"""Start a process with its standard streams, for create and exec alike."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from kata_agent.child import Child
from kata_agent.container.console_socket import ConsoleSocket
from kata_agent.container.pipes import open_pipes
from kata_agent.container.stdio import Stdio, terminal_stdio
from kata_agent.linux.terminal import set_terminal_owner
from kata_agent.runtime.standard_files import StandardFiles

log = logging.getLogger(__name__)

Start = Callable[[StandardFiles], Awaitable[Child]]
"""Starts a process with the given files: the runtime's create or exec."""


async def launch_on_pipes(start: Start, *, pipe_size: int = 0) -> tuple[Child, Stdio]:
    """Start a process on three pipes. A failure leaves no descriptor open."""
    pipes = open_pipes(pipe_size)
    try:
        child = await start(
            StandardFiles(pipes.stdin, pipes.stdout, pipes.stderr, console=None)
        )
    except BaseException:
        pipes.stdio.close()
        raise
    finally:
        pipes.close_process_ends()
    return child, pipes.stdio


async def launch_on_terminal(
    start: Start, *, sockets: Path, owner: int | None = None
) -> tuple[Child, Stdio]:
    """Start a process on a terminal, whose master arrives over a socket in `sockets`.

    The terminal is given to the user `owner`, if there is one. A failure leaves no
    descriptor and no socket.
    """
    with ConsoleSocket(sockets) as console:
        arrival = asyncio.create_task(console.receive())
        try:
            child = await start(StandardFiles(console=console.path))
            master = await arrival
            if owner is not None:
                _give_to(owner, master)
            return child, terminal_stdio(master)
        except BaseException:
            arrival.cancel()
            arrival.add_done_callback(_close_received)
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
