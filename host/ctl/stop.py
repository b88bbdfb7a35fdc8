# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl stop`: end containers, first by asking."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import TYPE_CHECKING, Final

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.each_container import for_each
from kata_host.ctl.patience import saying
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_host.client import GuestContainer
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers

GRACE: Final = 10.0
"""Seconds that a container has after SIGTERM, as with docker."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "stop",
        help="end containers: SIGTERM, then SIGKILL",
        usage="%(prog)s [options] CONTAINER...",
        description="Send SIGTERM to the first process of containers, and SIGKILL to "
        "all of a container's processes if it has not ended in time. Print the name of "
        "each that has ended.",
        epilog="Example:\n\n  kata-agent-ctl stop -t 2s web",
    )
    add_container_argument(parser, nargs="+")
    parser.add_argument(
        "-t",
        "--time",
        type=seconds,
        default=GRACE,
        metavar="TIME",
        help="how long to wait before SIGKILL (default: %(default)g s)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return for_each(options, lambda found: _stop(found, options.time))


async def _stop(found: FoundContainer, grace: float) -> str:
    from kata_host.client.container_process import process_may_have_ended

    with saying(f"container '{found.id}' is ending"):
        async with found.target.client() as client:
            container = client.container(found.id)
            # First, because all that is known may be removed at the end.
            ending = asyncio.ensure_future(_ended(found, container))
            try:
                with process_may_have_ended():
                    await container.init.signal(signal.SIGTERM)
                    if not (await asyncio.wait([ending], timeout=grace))[0]:
                        await container.kill()
                    await ending
            finally:
                ending.cancel()
    return found.id


async def _ended(found: FoundContainer, container: GuestContainer) -> None:
    """Wait for the end of a container.

    The agent gives an exit status once, and it belongs to whoever has the output.
    """
    from kata_host.keeper.follow import wait_for_end
    from kata_host.keeper.record import ContainerState

    if found.record is None or found.state is ContainerState.LOST:
        await container.init.wait()
    elif not found.record.has_ended:
        await wait_for_end(found.record)
