# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl shell`: the debug console of a guest."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl import terminal
from kata_host.ctl.arguments import add_connect_timeout, add_guest_argument
from kata_host.ctl.command_parser import port
from kata_host.ctl.errors import CommandError
from kata_host.ctl.host_stream import STDIN, STDOUT, HostStream, write_chunks
from kata_host.ctl.ports import CONSOLE_PORT
from kata_host.ctl.signals import run
from kata_host.ctl.target import Target

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers

ESCAPE: Final = b"\x1d"
"""Ctrl-], as telnet has it: hangs up, even if the guest does not react any more."""
CHUNK: Final = 64 * 1024


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "shell",
        help="open a shell in a guest",
        usage="%(prog)s [options] GUEST",
        description="Open a shell on a guest's debug console, as root of the guest. On "
        "a terminal every key goes to the shell, except Ctrl-], which hangs up. The "
        "guest needs the kernel option agent.debug_console_vport=1026, which "
        "`guest start` sets.",
        epilog="Example:\n\n  kata-agent-ctl shell one",
    )
    add_guest_argument(parser)
    add_connect_timeout(parser)
    parser.add_argument(
        "--port",
        type=port,
        default=CONSOLE_PORT,
        help="the guest's port of the console (default: %(default)s)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    run(_shell(options))
    return 0


async def _shell(options: argparse.Namespace) -> None:
    with await Target.of(options).dial(options.port) as connection:
        on_terminal = os.isatty(STDIN)
        with contextlib.ExitStack() as stack:
            if on_terminal:
                print("connected; Ctrl-] hangs up", file=sys.stderr)
                stack.enter_context(terminal.raw(STDIN))
            try:
                await _talk(connection, escape=ESCAPE if on_terminal else None)
            except OSError as error:
                raise CommandError(f"{options.guest}: {error.strerror}") from error


async def _talk(connection: socket.socket, *, escape: bytes | None) -> None:
    """Pass bytes both ways until the shell ends, or one side hangs up."""
    sending = asyncio.ensure_future(_send(connection, escape))
    receiving = asyncio.ensure_future(write_chunks(_received(connection), STDOUT))
    both: set[asyncio.Future[Any]] = {sending, receiving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        # After the end of our input, the shell may still have output.
        if sending.done() and not receiving.done() and not sending.result():
            await receiving
        for task in both:
            if task.done():
                task.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)


async def _send(connection: socket.socket, escape: bytes | None) -> bool:
    """Send our input to its end; return whether the user has hung up."""
    loop = asyncio.get_running_loop()
    with contextlib.closing(HostStream(STDIN, writing=False)) as source:
        async for data in source:
            typed, escaped, _ = data.partition(escape) if escape else (data, b"", b"")
            await loop.sock_sendall(connection, typed)
            if escaped:
                return True
    connection.shutdown(socket.SHUT_WR)
    return False


async def _received(connection: socket.socket) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(connection, CHUNK):
        yield data
