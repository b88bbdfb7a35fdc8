# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl attach`: our standard streams for a container that was detached."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.signals import run

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers
    from kata_host.keeper.record import ContainerRecord


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "attach",
        help="take the standard streams of a detached container",
        usage="%(prog)s [options] CONTAINER",
        description="Show the output of a container from now on, pass on signals, and "
        "input if it was started with --interactive, and return its exit status. With "
        "a terminal, Ctrl-P Ctrl-Q leaves it running.",
        epilog="Example:\n\n  kata-agent-ctl attach web",
    )
    add_container_argument(parser)
    parser.add_argument(
        "--no-stdin", action="store_true", help="pass no input on, whatever it takes"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.ctl.found_container import find_container

    found = find_container(options.container, options)
    if found.record is None or not found.is_kept:
        raise CommandError(
            f"container '{found.id}': its output belongs to the command that runs it"
        )
    if found.record.has_ended:
        raise CommandError(f"container '{found.id}': has ended (see logs)")
    with guest_errors_as_command_errors():
        return run(_attach(found, found.record, no_stdin=options.no_stdin))


async def _attach(
    found: FoundContainer, record: ContainerRecord, *, no_stdin: bool
) -> int:
    from kata_host.ctl.attachment import Detached, attach
    from kata_host.ctl.container_output import show
    from kata_host.ctl.wait import status_at_end

    async with found.target.client() as client:
        container = client.container(found.id, terminal=record.tty)
        # First, because all that is known may be removed at the end.
        ending = asyncio.ensure_future(status_at_end(found))
        try:
            return await attach(
                container.init,
                container.kill,
                stdin=record.interactive and not no_stdin,
                tty=record.tty,
                can_detach=True,
                output=show(record, lines=0, follow_it=True, timestamps=False),
                wait=lambda: ending,
            )
        except Detached:
            return 0
        finally:
            ending.cancel()
