# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl top`: processes of a container, as the guest's kernel has them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.command_parser import text
from kata_host.ctl.signals import run
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "top",
        help="list the processes of a container",
        usage="%(prog)s [options] CONTAINER [-- PS-OPTION...]",
        description="List the processes of a container, with the process ids that they "
        "have in the guest.",
        epilog="Example:\n\n  kata-agent-ctl top web -- -o pid,args",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON array of process ids instead"
    )
    add_container_argument(parser)
    parser.add_argument(
        "options",
        nargs="*",
        type=text,
        metavar="PS-OPTION",
        help="options of ps(1) that choose the columns (default: -ef)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    listed = run(_list(options))
    for line in listed.removesuffix("\n").split("\n"):
        print(printable(line))
    return 0


async def _list(options: argparse.Namespace) -> str:
    from kata_host.ctl.found_container import find_container
    from kata_protos import agent_pb2

    found = find_container(options.container, options)
    request = agent_pb2.ListProcessesRequest(
        container_id=found.id,
        format="json" if options.json else "table",
        args=options.options,
    )
    async with found.target.client() as client:
        response = await client.agent.list_processes(request)
    return response.process_list.decode(errors="replace")
