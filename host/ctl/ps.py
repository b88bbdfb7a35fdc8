# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl ps`: the processes of a container, as the guest's kernel has them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_connect_timeout, add_guest_option
from kata_host.ctl.command_parser import text
from kata_host.ctl.signals import run
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "ps",
        help="list the processes of a container",
        usage="%(prog)s --guest GUEST [options] CONTAINER [-- PS-OPTION...]",
        description="List the processes of a container, with the process ids that they "
        "have in the guest.",
        epilog="Example:\n\n  kata-agent-ctl ps --guest one c1 -- -o pid,args",
    )
    add_guest_option(parser, required=True)
    add_connect_timeout(parser)
    parser.add_argument(
        "--json", action="store_true", help="print a JSON array of process ids instead"
    )
    parser.add_argument(
        "container", type=text, metavar="CONTAINER", help="id of the container"
    )
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
    from kata_host.ctl.target import Target
    from kata_protos import agent_pb2

    request = agent_pb2.ListProcessesRequest(
        container_id=options.container,
        format="json" if options.json else "table",
        args=options.options,
    )
    async with Target.of(options).client() as client:
        response = await client.agent.list_processes(request)
    return response.process_list.decode(errors="replace")
