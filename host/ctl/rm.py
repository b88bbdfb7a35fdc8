# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl rm`: remove containers, and the guests that were started for them."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.each_container import for_each
from kata_host.ctl.errors import CommandError
from kata_host.ctl.patience import saying

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rm",
        help="remove containers",
        usage="%(prog)s [options] CONTAINER...",
        description="Remove containers that have ended, with their output and their "
        "changes to files, and the guests that `run --detach` started for them. Print "
        "the name of each.",
        epilog="Example:\n\n  kata-agent-ctl rm -f web",
    )
    add_container_argument(parser, nargs="+")
    parser.add_argument(
        "-f", "--force", action="store_true", help="end those that still run"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return for_each(options, lambda found: _remove(found, force=options.force))


async def _remove(found: FoundContainer, *, force: bool) -> str:
    from kata_host.guest.held_guest import stop_guest
    from kata_host.keeper.records import forget
    from kata_host.keeper.sweep import remove_recorded

    record = found.record
    if not force and (record is None or not record.has_ended):
        may = "may run" if found.state is None else found.state.value
        raise CommandError(f"container '{found.id}': {may}, stop it or use --force")
    with saying(f"container '{found.id}' is being removed"):
        if record is not None and record.owns_guest:
            await asyncio.to_thread(stop_guest, record.guest)
            return found.id
        async with found.target.client() as client:
            if record is None:
                await client.container(found.id).remove()
            else:
                await remove_recorded(client, record)
                await asyncio.to_thread(forget, record.guest, record.id)
    return found.id
