# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl logs`: the log of a guest's agent."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl.arguments import add_connect_timeout, add_guest_argument
from kata_host.ctl.command_parser import port
from kata_host.ctl.errors import CommandError
from kata_host.ctl.ports import LOG_PORT
from kata_host.ctl.signals import run
from kata_host.ctl.target import Target
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers

SILENCE: Final = 1.0
"""Seconds without a line, after which all lines that were kept have been read."""
LINE_LIMIT: Final = 1 << 20
"""Bytes of a line; a longer one is cut, because a guest may send one without end."""
CHUNK: Final = 64 * 1024
_LEADING: Final = ("ts", "level", "subsystem", "msg")
_LEFT_OUT: Final = frozenset({*_LEADING, "version", "pid", "name", "source"})
"""Keys that `to_text` does not show as `key=value`, because they lead the line or have
one value in all lines of an agent."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "logs",
        help="show the log of a guest's agent",
        usage="%(prog)s [options] GUEST",
        description="Show the lines that the agent has logged and that no command has "
        "read yet. The agent keeps the last 256 KiB, and sends each line to one "
        "reader, the last that came. The guest needs the kernel "
        "option agent.log_vport=1025, which `guest start` sets.",
        epilog="Example:\n\n  kata-agent-ctl logs --follow one",
    )
    add_guest_argument(parser)
    add_connect_timeout(parser)
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with new lines until the guest ends",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print each line as a JSON object with all keys of the agent's",
    )
    parser.add_argument(
        "--port",
        type=port,
        default=LOG_PORT,
        help="the guest's port of the log (default: %(default)s)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    run(_show(options))
    return 0


async def _show(options: argparse.Namespace) -> None:
    silence = None if options.follow else SILENCE
    with await Target.of(options).dial(options.port) as connection:
        try:
            async for line in lines(connection, silence):
                text = to_json(line) if options.json else to_text(line)
                print(text, flush=options.follow)
        except OSError as error:
            raise CommandError(f"{options.guest}: {error.strerror}") from error


async def lines(
    connection: socket.socket, silence: float | None
) -> AsyncIterator[bytes]:
    """Yield lines until the end, or until there is none for `silence` seconds."""
    loop = asyncio.get_running_loop()
    rest = b""
    while True:
        try:
            async with asyncio.timeout(silence):
                data = await loop.sock_recv(connection, CHUNK)
        except TimeoutError:
            data = b""
        if not data:
            if rest:
                yield rest
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > LINE_LIMIT:
            yield rest
            rest = b""


def to_json(line: bytes) -> str:
    """Return a line as JSON in ASCII; a line that is not JSON becomes a `msg`."""
    return json.dumps(_parse(line))


def to_text(line: bytes) -> str:
    """Return a line to read: time, level, subsystem, message, then the other keys.

    Control characters are escaped, because the guest is not trusted.
    """
    fields = _parse(line)
    leading = [_word(fields[key]) for key in _LEADING if key in fields]
    others = [
        f"{printable(key)}={_word(value)}"
        for key, value in fields.items()
        if key not in _LEFT_OUT
    ]
    return " ".join([*leading, *others])


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        fields = {"msg": line.decode(errors="replace")}
    return fields


def _word(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value))
