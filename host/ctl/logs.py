# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl logs`: what a guest's agent logs."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl.dial import GUEST_HELP, dial_port
from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers

PORT: Final = 1025
CONNECT_TIMEOUT: Final = 5.0
SILENCE: Final = 1.0
"""Seconds without a line after which there is nothing old any more."""
LINE_LIMIT: Final = 1 << 20
"""Bytes of a line; a guest may send one that has no end."""
CHUNK: Final = 64 * 1024
_LEADING: Final = ("ts", "level", "subsystem", "msg")
_CONSTANT: Final = frozenset({*_LEADING, "version", "pid", "name", "source"})


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "logs",
        help="show the log of a guest's agent",
        description="Show the lines that the agent has logged and nobody has read yet. "
        "It needs the option agent.log_vport=1025, and keeps the last 256 KiB; each "
        "line goes to one reader, the one that came last.",
    )
    parser.add_argument("guest", metavar="GUEST", help=GUEST_HELP)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the guest ends"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line, as the agent's"
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="of the log (default: %(default)s)"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    asyncio.run(_show(options))
    return 0


async def _show(options: argparse.Namespace) -> None:
    silence = None if options.follow else SILENCE
    with await dial_port(options.guest, options.port, CONNECT_TIMEOUT) as connection:
        try:
            async for line in _lines(connection, silence):
                text = to_json(line) if options.json else to_text(line)
                print(text, flush=options.follow)
        except ConnectionError as error:
            raise CommandError(f"{options.guest}: {error.strerror}") from error


async def _lines(
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
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LINE_LIMIT:
            yield rest
            rest = b""


def to_json(line: bytes) -> str:
    """Return the line's object as JSON in ASCII; what is none becomes its `msg`."""
    return json.dumps(_parse(line))


def to_text(line: bytes) -> str:
    """Return a line to read: time, level, subsystem, message, and what else it has.

    No control character of the guest's gets through.
    """
    fields = _parse(line)
    leading = [_word(fields[key]) for key in _LEADING if key in fields]
    others = [
        f"{_word(key)}={_word(value)}"
        for key, value in fields.items()
        if key not in _CONSTANT
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
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
