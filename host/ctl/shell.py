# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl shell`: the debug console of a guest."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

from kata_host.ctl import terminal
from kata_host.ctl.dial import GUEST_HELP, dial_port
from kata_host.ctl.errors import CommandError
from kata_host.ctl.host_stream import HostStream
from kata_host.ctl.signals import ended_by_signals

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers

PORT: Final = 1026
STDIN: Final = 0
STDOUT: Final = 1
CONNECT_TIMEOUT: Final = 5.0
ESCAPE: Final = b"\x1d"
"""Ctrl-], as telnet has it: it hangs up, whatever the guest does."""
CHUNK: Final = 64 * 1024


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "shell",
        help="a shell in a guest",
        description="Open a shell on a guest's debug console, as the guest's root. The "
        "guest's agent needs the option agent.debug_console_vport=1026. On a terminal "
        "every key is the shell's, but Ctrl-], which hangs up.",
    )
    parser.add_argument("guest", metavar="GUEST", help=GUEST_HELP)
    parser.add_argument(
        "--port", type=int, default=PORT, help="of the console (default: %(default)s)"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return asyncio.run(_shell(options))


async def _shell(options: argparse.Namespace) -> int:
    with await dial_port(options.guest, options.port, CONNECT_TIMEOUT) as connection:
        on_terminal = os.isatty(STDIN)
        with contextlib.ExitStack() as stack:
            if on_terminal:
                print("connected; Ctrl-] hangs up", file=sys.stderr)
                stack.enter_context(terminal.raw(STDIN))
            stack.enter_context(ended_by_signals("ended by "))
            try:
                await _talk(connection, escape=ESCAPE if on_terminal else None)
            except ConnectionError as error:
                raise CommandError(f"{options.guest}: {error.strerror}") from error
    return 0


async def _talk(connection: socket.socket, *, escape: bytes | None) -> None:
    """Pass bytes both ways until the shell ends, or somebody hangs up."""
    sending = asyncio.ensure_future(_send(connection, escape))
    receiving = asyncio.ensure_future(_receive(connection))
    both = {sending, receiving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        # The end of our input is not the end of what the shell has to say.
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


async def _receive(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.closing(HostStream(STDOUT, writing=True)) as sink:
        while data := await loop.sock_recv(connection, CHUNK):
            await sink.write(data)
