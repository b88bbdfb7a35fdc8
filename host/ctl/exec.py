# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl exec`: one more command in a container that runs."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import (
    add_command_argument,
    add_process_arguments,
    check_process,
    environment_of,
)

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "exec",
        help="run a command in a container that runs",
        usage="%(prog)s [options] CONTAINER -- COMMAND [ARG...]",
        description="Run a command in a container that runs already. Input, output, "
        "signals and exit status are those of the command: 128+n when signal n ended "
        "it, 125 when the guest or the agent failed.",
    )
    parser.add_argument("--address", required=True, help="the agent's")
    add_process_arguments(parser)
    parser.add_argument("container", metavar="CONTAINER", help="its id")
    add_command_argument(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    check_process(options)
    return asyncio.run(_exec(options))


async def _exec(options: argparse.Namespace) -> int:
    from kata_host.client.identifier import new_id
    from kata_host.client.spec import default_process
    from kata_host.ctl import terminal
    from kata_host.ctl.attach import STDIN, attach
    from kata_host.ctl.target import Target

    process = default_process(
        options.command,
        env=environment_of(options.env),
        cwd=options.cwd,
        terminal=options.tty,
    )
    if options.tty and os.isatty(STDIN):
        rows, columns = terminal.size(STDIN)
        process.ConsoleSize.Height, process.ConsoleSize.Width = rows, columns
    async with Target(options.address).client() as client:
        container = client.container(options.container)
        executed = await container.exec(new_id("exec"), process)
        return await attach(
            executed,
            lambda: executed.signal(9),
            stdin=options.interactive,
            tty=options.tty,
        )
