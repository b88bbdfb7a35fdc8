# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl wait`: the exit statuses of containers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.each_container import for_each
from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "wait",
        help="wait for the end of containers, and print their exit statuses",
        usage="%(prog)s [options] CONTAINER...",
        description="Wait until containers have ended, one after the other, and print "
        "the exit status of each: 128+n if signal n ended it.",
        epilog="Example:\n\n  kata-agent-ctl wait web",
    )
    add_container_argument(parser, nargs="+")
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return for_each(options, _wait)


async def _wait(found: FoundContainer) -> str:
    return str(await status_at_end(found))


async def status_at_end(found: FoundContainer) -> int:
    """Wait for the end of a container; return its exit status."""
    from kata_host.keeper.follow import wait_for_end

    if found.record is None:
        async with found.target.client() as client:
            return await client.container(found.id).init.wait()
    record = await wait_for_end(found.record)
    if record.status is None:
        raise CommandError(f"container '{found.id}': no status: {record.error}")
    return record.status
