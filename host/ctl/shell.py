# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl shell`: a shell in a guest."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl import terminal
from kata_host.ctl.arguments import add_connect_timeout, add_guest_argument
from kata_host.ctl.command_parser import port
from kata_host.ctl.errors import CommandError
from kata_host.ctl.framed_console import FramedConsole
from kata_host.ctl.host_stream import STDIN, STDOUT, HostStream, write_chunks
from kata_host.ctl.ports import CONSOLE_PORT, SHELL_PORT
from kata_host.ctl.raw_console import RawConsole
from kata_host.ctl.signals import run
from kata_host.ctl.target import Target

if TYPE_CHECKING:
    from kata_host.ctl.guest_console import GuestConsole
    from kata_host.ctl.program import Subparsers

ESCAPE: Final = b"\x1d"
"""Ctrl-], as telnet has it: hangs up, even if the guest does not react any more."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "shell",
        help="open a shell in a guest",
        usage="%(prog)s [options] GUEST",
        description="Open a shell in a guest, as its root. On a terminal every "
        "key goes to the shell, except Ctrl-], which hangs up.\n\n"
        "In a guest of `guest list`, the shell follows the size of the terminal, and "
        "its exit status is that of the command. In another, the shell is the agent's "
        "debug console, which has neither: it stays at 24 rows and 80 columns, and the "
        "status is 0. Such a guest needs the kernel option "
        "agent.debug_console_vport=1026.",
        epilog="Example:\n\n  kata-agent-ctl shell one",
    )
    add_guest_argument(parser)
    add_connect_timeout(parser)
    parser.add_argument(
        "--port",
        type=port,
        help="use the debug console on this port of the guest (default: "
        f"{CONSOLE_PORT}, where there is no shell with a size and a status)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return run(_shell(options))


async def _shell(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        console, connection = await _connected(options)
        stack.enter_context(connection)
        on_terminal = os.isatty(STDIN)
        if on_terminal:
            print("connected; Ctrl-] hangs up", file=sys.stderr)
            stack.enter_context(terminal.raw(STDIN))
        try:
            async with _size_followed(console, on_terminal=on_terminal):
                escape = ESCAPE if on_terminal else None
                return await _talk(console, connection, escape=escape)
        except OSError as error:
            raise CommandError(f"{options.guest}: {error.strerror}") from error


async def _connected(
    options: argparse.Namespace,
) -> tuple[GuestConsole, socket.socket]:
    """Connect to the shell port of a guest of ours, or to the debug console."""
    target = Target.of(options)
    # The agent of another guest may be any.
    if options.port is None and target.entry is not None:
        served = await target.dial_if_served(SHELL_PORT)
        if served is not None:
            return FramedConsole(served), served
    port = CONSOLE_PORT if options.port is None else options.port
    connection = await target.dial(port)
    return RawConsole(connection), connection


@contextlib.asynccontextmanager
async def _size_followed(
    console: GuestConsole, *, on_terminal: bool
) -> AsyncIterator[None]:
    """Have the shell's terminal be as large as ours during the block."""
    if not on_terminal or not console.follows_size:
        yield
        return
    changed = asyncio.Event()
    changed.set()

    async def follow() -> None:
        while True:
            await changed.wait()
            changed.clear()
            if (size := terminal.size(STDIN)) is not None:
                await console.resize(*size)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    following = asyncio.ensure_future(follow())
    # So that the first size is there before the first key.
    await asyncio.sleep(0)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        following.cancel()
        await asyncio.wait([following])
        if not following.cancelled():
            # A connection that has ended is told by the block.
            following.exception()


async def _talk(
    console: GuestConsole, connection: socket.socket, *, escape: bytes | None
) -> int:
    """Pass bytes both ways until the shell ends, or one side hangs up.

    Returns the status of the shell, and 0 if the user has hung up.
    """
    sending = asyncio.ensure_future(_send(console, connection, escape))
    receiving = asyncio.ensure_future(write_chunks(console.output(), STDOUT))
    both: set[asyncio.Future[Any]] = {sending, receiving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not receiving.done():
            if _has_hung_up(sending):
                return 0
            # After the end of our input, the shell may still have output.
            await receiving
        receiving.result()
        if sending.done():
            _has_hung_up(sending)
        return console.status()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)


def _has_hung_up(sending: asyncio.Future[bool]) -> bool:
    try:
        return sending.result()
    except ConnectionError:
        # A shell that has ended reads no more, and its output tells the rest.
        return False


async def _send(
    console: GuestConsole, connection: socket.socket, escape: bytes | None
) -> bool:
    """Send our input to its end; return whether the user has hung up."""
    with contextlib.closing(HostStream(STDIN, writing=False)) as source:
        async for data in source:
            typed, escaped, _ = data.partition(escape) if escape else (data, b"", b"")
            await console.send(typed)
            if escaped:
                return True
    connection.shutdown(socket.SHUT_WR)
    return False
