# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl logs`: the output of a container, or the log of a guest's agent."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl.arguments import CONTAINER_HELP, GUEST_HELP, add_connect_timeout
from kata_host.ctl.command_parser import port, text
from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.found_container import container_or_guest
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
        help="show the output of a container, or the log of a guest's agent",
        usage="%(prog)s [options] CONTAINER|GUEST",
        description="Show the output of a detached container, of which the last 8 MiB "
        "are kept.\n\n"
        "For a guest, show the lines that the agent has logged and that no command has "
        "read yet. The agent keeps the last 256 KiB, and sends each line to one "
        "reader, the last that came. The guest needs the kernel "
        "option agent.log_vport=1025, which `guest start` sets.",
        epilog="Examples:\n\n"
        "  kata-agent-ctl logs --follow --tail 10 web\n"
        "  kata-agent-ctl logs --agent one",
    )
    add_connect_timeout(parser)
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with what is new, until the container or the guest ends",
    )
    parser.add_argument(
        "--tail",
        "-n",
        type=_lines,
        metavar="NUMBER",
        help="only the last lines of a container's output (default: all)",
    )
    parser.add_argument(
        "-t",
        "--timestamps",
        action="store_true",
        help="begin each line of a container's output with its time",
    )
    parser.add_argument(
        "--agent",
        action="store_true",
        help="the agent's log, also if a container has the same name as the guest",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print each line of the agent's log as a JSON object with all its keys",
    )
    parser.add_argument(
        "--port",
        type=port,
        default=LOG_PORT,
        help="the guest's port of the agent's log (default: %(default)s)",
    )
    parser.add_argument(
        "guest",
        type=text,
        metavar="CONTAINER|GUEST",
        help=f"{CONTAINER_HELP}; or {GUEST_HELP}",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    record = None if options.agent else container_or_guest(options.guest)
    if record is None:
        run(_show(options))
        return 0
    from kata_host.ctl.container_output import show

    if not record.detached:
        raise CommandError(
            f"container '{record.id}': its output belongs to the command that runs it"
        )
    with guest_errors_as_command_errors():
        run(
            show(
                record,
                lines=options.tail,
                follow_it=options.follow,
                timestamps=options.timestamps,
            )
        )
    return 0


def _lines(word: str) -> int | None:
    """Read a number of lines, or `all`. Raises `ArgumentTypeError`."""
    if word == "all":
        return None
    if word.isascii() and word.isdecimal() and len(word) < 10:
        return int(word)
    raise argparse.ArgumentTypeError(f"lines {word!r}: not a number, or all")


async def _show(options: argparse.Namespace) -> None:
    silence = None if options.follow else SILENCE
    with await Target.of(options).dial(options.port) as connection:
        try:
            async for line in lines(connection, silence):
                shown = to_json(line) if options.json else to_text(line)
                print(shown, flush=options.follow)
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
