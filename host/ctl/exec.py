# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl exec`: one more command in a container that runs."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import (
    add_command_argument,
    add_container_argument,
    add_process_arguments,
    check_process,
    requested_user,
)
from kata_host.ctl.signals import run

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers
    from kata_protos import oci_pb2


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "exec",
        help="run one more command in a container that runs",
        usage="%(prog)s [options] CONTAINER -- COMMAND [ARG...]",
        description="Run a command in a container that runs already, as its user, in "
        "its directory and with its environment. Standard input and output, signals "
        "and the exit status are those of the command: 128+n when signal n ended it, "
        "127 when it was not found, 126 when it cannot be executed, 125 when the guest "
        "or the agent failed.\n\n"
        "The host does not know the environment of a container that another program "
        "started: with --env, the command has PATH and the variables that are set "
        "here.",
        epilog="Examples:\n\n"
        "  kata-agent-ctl exec -it web -- sh\n"
        "  kata-agent-ctl exec --guest one -u nobody -w /tmp c1 -- id",
    )
    add_process_arguments(parser, defaults="the container's")
    add_container_argument(parser)
    add_command_argument(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.ctl.found_container import find_container

    check_process(options)
    return run(_exec(options, find_container(options.container, options)))


async def _exec(options: argparse.Namespace, found: FoundContainer) -> int:
    from kata_host.ctl.attachment import attach
    from kata_host.keeper.held_exec import held_exec

    async with found.target.client() as client:
        with held_exec(found.record) as id:
            executed = await client.container(found.id).exec(
                id, _process(options, found), user=requested_user(options)
            )
            return await attach(
                executed,
                lambda: executed.signal(signal.SIGKILL),
                stdin=options.interactive,
                tty=options.tty,
            )


def _process(options: argparse.Namespace, found: FoundContainer) -> oci_pb2.Process:
    """Return the process that the options ask for, on a terminal of our size."""
    from kata_host.client.spec import additional_process
    from kata_host.ctl import terminal
    from kata_host.ctl.host_stream import STDIN

    process = additional_process(
        options.command,
        env=_environment(options, found),
        cwd=options.cwd,
        terminal=options.tty,
    )
    if options.tty and (size := terminal.size(STDIN)):
        process.ConsoleSize.Height, process.ConsoleSize.Width = size
    return process


def _environment(
    options: argparse.Namespace, found: FoundContainer
) -> Mapping[str, str] | None:
    """Return the whole environment; None for the container's own, which it adds to."""
    from kata_host.client.spec import PATH, TERM

    added: Mapping[str, str] = options.environment
    if options.tty and found.record is not None:
        added = {"TERM": TERM, **added}
    if not added:
        return None
    own = (
        {}
        if found.record is None
        else dict(entry.split("=", 1) for entry in found.record.env)
    )
    return {"PATH": PATH, **own, **added}
