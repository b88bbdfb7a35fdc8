# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl kill`: a signal for containers."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.each_container import for_each

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "kill",
        help="send a signal to containers",
        usage="%(prog)s [options] CONTAINER...",
        description="Send a signal to the first process of containers; SIGKILL goes to "
        "every process. Print the name of each.",
        epilog="Example:\n\n  kata-agent-ctl kill -s HUP web",
    )
    add_container_argument(parser, nargs="+")
    parser.add_argument(
        "-s",
        "--signal",
        type=signal_number,
        default=signal.SIGKILL,
        metavar="SIGNAL",
        help="name or number of the signal (default: KILL)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return for_each(options, lambda found: _kill(found, options.signal))


def signal_number(word: str) -> int:
    """Read `TERM`, `SIGTERM` or `15`. Raises `ArgumentTypeError`."""
    name = word.upper().removeprefix("SIG")
    known = signal.Signals.__members__.get(f"SIG{name}")
    if known is not None:
        return known
    if word.isascii() and word.isdecimal() and len(word) < 3 and 0 < int(word) <= 64:
        return int(word)
    raise argparse.ArgumentTypeError(f"signal {word!r}: unknown")


async def _kill(found: FoundContainer, number: int) -> str:
    async with found.target.client() as client:
        container = client.container(found.id)
        if number == signal.SIGKILL:
            await container.kill()
        else:
            await container.init.signal(number)
    return found.id
