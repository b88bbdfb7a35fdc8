# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl exec`: one more command in a container that runs."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import (
    add_command_argument,
    add_connect_timeout,
    add_guest_option,
    add_process_arguments,
    check_process,
    requested_process,
)
from kata_host.ctl.command_parser import text
from kata_host.ctl.signals import run

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "exec",
        help="run one more command in a container that runs",
        usage="%(prog)s --guest GUEST [options] CONTAINER -- COMMAND [ARG...]",
        description="Run a command in a container that runs already. Standard input "
        "and output, signals and the exit status are those of the command: 128+n when "
        "signal n ended it, 127 when it was not found, 126 when it cannot be executed, "
        "125 when the guest or the agent failed.",
        epilog="Example:\n\n  kata-agent-ctl exec -it --guest one c1 -- sh",
    )
    add_guest_option(parser, required=True)
    add_connect_timeout(parser)
    add_process_arguments(parser)
    parser.add_argument(
        "container", type=text, metavar="CONTAINER", help="id of the container"
    )
    add_command_argument(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    check_process(options)
    return run(_exec(options))


async def _exec(options: argparse.Namespace) -> int:
    from kata_host.client.identifier import new_id
    from kata_host.ctl.attach import attach
    from kata_host.ctl.target import Target

    async with Target.of(options).client() as client:
        container = client.container(options.container)
        executed = await container.exec(new_id("exec"), requested_process(options))
        return await attach(
            executed,
            lambda: executed.signal(signal.SIGKILL),
            stdin=options.interactive,
            tty=options.tty,
        )
